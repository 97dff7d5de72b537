"""Made-up tables of pruned classifiers; rows of other systems and ways must not be drawn and have other numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparse_attention.plotting.pruning import SYSTEMS

DEPTH = 3


def half(seeds):
    return np.nan if seeds == 1 else 0.02


def layers(names, seeds=1):
    rows = [
        {"pruning": name, "system": system, "way": way, "layer": layer, "seeds": seeds,
         "kept_share": (0.9 if system == "hard" and way == "dropped" else 0.1) - 0.2 * layer - 0.05 * place,
         "kept_share_ci95": half(seeds)}
        for place, name in enumerate(names)
        for system, way in (("dense", "dropped"), ("hard", "masked"), ("hard", "dropped"), ("topk", "dropped"))
        for layer in range(DEPTH)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def thresholds(names, seeds=1):
    rows = [
        {"pruning": name, "layer": layer, "seeds": seeds, "before": 0.1 * (layer + 1) + place,
         "after": 0.15 * (layer + 1) + place, "after_ci95": half(seeds)}
        for place, name in enumerate(names)
        for layer in range(DEPTH)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def quality(names, seeds=1, intervals=True):
    rows = [
        {"pruning": name, "system": system, "way": way, "seeds": seeds, "functions": 50, "positive": 1,
         "kept_share": 0.9 - 0.1 * place, "relative_flops": 1 - 0.1 * number + 0.01 * place,
         "f1": 0.5 + 0.02 * number + 0.01 * place, "roc_auc": 0.8 - 0.01 * number}
        for place, name in enumerate(names)
        for number, system in enumerate(SYSTEMS)
        for way in ("masked", "dropped")
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for metric in ("f1", "roc_auc"):
        table[f"{metric}_low"] = table[metric] - (0.1 if intervals else np.nan)
        table[f"{metric}_high"] = table[metric] + (0.2 if intervals else np.nan)
    return table


LENGTHS = {2: (10, 0.9, 1), 5: (40, 0.2, 1), 7: (25, 0.5, 0), 8: (16, 0.1, 0), 9: (30, 0.5, 1)}


def runs():
    """Return the kept tokens and the predictions of a run; rows of other systems and ways must not be drawn."""
    kept, predictions = [], []
    for system, way in (("dense", "dropped"), ("hard", "masked"), ("hard", "dropped")):
        own = {"system": system, "way": way}
        for function, (tokens, probability, label) in LENGTHS.items():
            other = 1 if way == "dropped" and system == "hard" else 9
            one = own | {"function": function}
            cost = {"gflops": tokens * other / 100, "dense_gflops": tokens / 10}
            predictions.append(one | cost | {"tokens": tokens * other, "probability": probability, "label": label})
            kept += [one | {"layer": layer, "kept": tokens * other / (layer + 2)} for layer in range(DEPTH)]
    return pd.DataFrame(kept), pd.DataFrame(predictions)
