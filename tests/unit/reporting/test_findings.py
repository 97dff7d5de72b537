"""Sentences on models and predictors: that they say what the tables hold."""

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.reporting import findings
from sparse_attention.summaries.wording import joined


def fixed(**changes):
    """A compact table of four predictors at two sparsities."""
    rows = [
        {"predictor": name, "label": name.upper(), "family": family, "bound": bound, "projection": "kind~none"}
        | {"attention": "entmax~1.5", "keep": "none", "windows": windows, "at_sparsity": at, "seeds": 1}
        | {f"{metric}{end}": value for metric in compared_metrics() for end, value in (("", recall), ("_ci95", None))}
        for name, family, bound, recall in [
            ("cos", "distance", None, 0.45),
            ("window", "window", None, 0.25),
            ("oracle", "bounds", "upper", 0.85),
            ("random", "bounds", "lower", 0.05),
        ]
        for windows in ("0", "all")
        for at in (0.9, 0.95)
    ]
    return pd.DataFrame(rows).astype({"recall_ci95": float}).assign(**changes)


def in_one_line(sentences):
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    "share, half, text", [(0.48, None, "48 %"), (0.976, None, "97.6 %"), (0.48, 0.021, "48.0 ± 2.1 %")]
)
def test_shares_are_written_for_readers(share, half, text):
    assert in_one_line([findings.percent(share, float("nan") if half is None else half)]) == text


@pytest.mark.parametrize("names, text", [(["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")])
def test_names_are_joined_as_in_a_sentence(names, text):
    assert joined(names) == text


@pytest.mark.parametrize(
    "row, half",
    [
        ({"recall_low": 0.2, "recall_high": 0.3, "recall_ci95": 0.5}, 0.05),
        ({"recall_ci95": 0.5}, 0.5),
        ({"recall_low": float("nan"), "recall_ci95": 0.5}, 0.5),
    ],
    ids=["bootstrap", "seeds", "no bootstrap"],
)
def test_the_bootstrap_comes_before_the_seeds(row, half):
    assert findings.half_width(row, "recall") == pytest.approx(half)


def test_the_best_predictor_is_compared_with_the_bounds():
    text = in_one_line(findings.predictors(fixed(), "0", "none"))
    assert "At 95 % sparsity COS predicts entmax 1.5 support best: it recalls 45 % of the gold pairs" in text
    assert (
        "the oracle recalls 85 % and random pairs 5.0 %, so it covers 50 % of the way from chance to the oracle" in text
    )
    assert "Next is WINDOW, which ignores content, with 25 %" in text
    assert "cannot rank" not in text, "nothing is known without intervals"


@pytest.mark.parametrize(
    "half, text",
    [(0.01, "Its 95 % interval overlaps no other"), (0.15, "interval of WINDOW overlaps its own: this run cannot")],
)
def test_intervals_tell_whether_the_best_leads(half, text):
    table = fixed()
    table = table.assign(recall_low=table["recall"] - half, recall_high=table["recall"] + half)
    assert text in in_one_line(findings.predictors(table, "0", "none"))


def test_the_next_predictor_is_another_one():
    table = fixed()
    other = table[table["predictor"] == "cos"].assign(projection="kind~mlp_dim~4", recall=0.4)
    text = in_one_line(findings.predictors(pd.concat([table, other]), "0", "none"))
    assert "Next is WINDOW" in text


def test_another_sparsity_is_taken_when_no_predictor_reaches_the_first():
    table = fixed()
    table.loc[(table["at_sparsity"] == 0.95) & table["bound"].isna(), list(compared_metrics())] = float("nan")
    assert in_one_line(findings.predictors(table, "0", "none")).startswith("At 90 % sparsity")
    table[list(compared_metrics())] = float("nan")
    assert "No predictor reaches" in findings.predictors(table, "0", "none")[0]


def test_without_bounds_or_other_predictors_they_are_not_mentioned():
    alone = fixed().query("predictor == 'cos'")
    assert len(findings.predictors(alone, "0", "none")) == 1


def test_a_window_that_helps_is_mentioned():
    table = fixed()
    text = findings.with_more_kept(table, "0", "none")
    assert text == ["No window makes the best predictor better at this sparsity."]
    table.loc[(table["windows"] == "all") & (table["predictor"] == "window"), "recall"] = 0.5
    assert "WINDOW is best with 50" in findings.with_more_kept(table, "0", "none")[0]


def test_additional_kept_tokens_are_mentioned():
    table = fixed()
    more = table.assign(keep="cls+last", recall=table["recall"] / 2)
    text = findings.with_more_kept(pd.concat([more, table]), "0", "none")
    assert len(text) == 2
    assert text[1].startswith("With the window chosen freely and the first and last token kept, ")
    assert text[1].endswith(" points less.")


def test_language_models_are_compared_with_softmax(tables):
    quality = read_table(tables / "masked_lm.tsv")
    text = findings.language_models(quality, trained=True)
    assert "With entmax 1.5 attention the model ends at" in text[0] and "nats below the unigram loss of 7.30" in text[0]
    assert text[-1].endswith("softmax at the same budget.")
    assert len(findings.language_models(quality[quality["attention"] != "softmax"], trained=False)) == 1
    even = findings.language_models(quality.assign(loss=5.0), trained=True)
    assert even[-1] == "Entmax 1.5 and softmax are equally good at the same budget."
