"""Write the sentences on the pruned classifiers."""

from __future__ import annotations

import pandas as pd

from sparse_attention.plotting.pruning import SYSTEMS
from sparse_attention.reporting.findings import percent
from sparse_attention.summaries.wording import spell_pruning

BASELINES = {name: SYSTEMS[name][0] for name in ("manual", "topk", "random", "text")}
"""Systems that choose the same number of tokens in other ways."""


def pruned_classifiers(quality: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """Compare each pruning with the dense classifier: kept tokens, multiply-adds and F1.

    Parameters
    ----------
    quality, gains : pandas.DataFrame
        The tables `pruning` and `pruning_gains`.
    """
    sentences = []
    several = quality["pruning"].nunique() > 1
    for name, rows in quality.groupby("pruning", sort=False):
        way = "dropped" if "dropped" in set(rows.loc[rows["system"] == "hard", "way"]) else "masked"
        retrained = rows[rows["system"] == "retrained"]
        rows = rows[rows["way"] == way]
        by_system = rows.set_index("system").to_dict("index")
        if not {"dense", "hard"} <= set(by_system):
            continue
        hard, dense = by_system["hard"], by_system["dense"]
        own = gains[(gains["pruning"] == name) & (gains["system"] == "hard") & (gains["way"] == way)]
        f1 = own[own["metric"] == "f1"].iloc[0]
        share = hard["relative_flops"] / dense["relative_flops"]
        start = f"{spell_pruning(name).capitalize()}: l" if several else "L"
        sentences.append(
            f"{start}ayers keep {percent(hard['kept_share'])} of the tokens on average and need "
            f"{percent(share)} of the dense model's multiply-adds; F1 goes from {dense['f1']:.3f} to "
            f"{hard['f1']:.3f} (difference {100 * f1['gain']:+.1f} points{_between(f1)})."
        )
        others = [
            f"{words} {by_system[system]['f1']:.3f}" for system, words in BASELINES.items() if system in by_system
        ]
        if others:
            sentences.append(f"F1 if the same number of tokens is chosen in other ways: {', '.join(others)}.")
        if len(retrained):
            f1_retrained = retrained["f1"].iloc[0]
            sentences.append(f"Retrained on the surviving text, the classifier reaches an F1 of {f1_retrained:.3f}.")
    return sentences


def text_against_model(quality: pd.DataFrame, baselines: pd.DataFrame) -> list[str]:
    """Compare the dense classifier on the test split with the classifiers that have no neural network."""
    dense = quality[(quality["system"] == "dense") & (quality["way"] == "dropped")].iloc[0]
    test = baselines[baselines["split"] == "test"].set_index("classifier")
    parts = ", ".join(f"{name} {row['f1']:.3f} and {row['roc_auc']:.3f}" for name, row in test.iterrows())
    return [
        f"The dense classifier reaches an F1 of {dense['f1']:.3f} and a ROC AUC of {dense['roc_auc']:.3f} on "
        f"{dense['functions']} test functions, {dense['positive']} of them positive; without a neural network: {parts}."
    ]


def _between(row: pd.Series) -> str:
    if pd.isna(row["gain_low"]):
        return ""
    return f", 95 % interval {100 * row['gain_low']:+.1f} to {100 * row['gain_high']:+.1f}"
