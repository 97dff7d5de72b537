"""Tables as the report shows them: what stands out, in which order, with which intervals."""

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.reporting import content


def texts(table, column=0):
    return [row[column].text for row in table.rows]


def test_the_best_of_each_column_is_marked_but_never_a_bound(frames):
    names = ("window", "oracle", "kmeans", "cos")
    table = content.sparsity_table("x", frames.at_sparsity(names), "0", "none")
    best = {row[0].text for row in table.rows if any(cell.best for cell in row)}
    assert best == {"Cosine distance"}
    groups = [(f"{metric} at sparsity", 4) for metric in ("recall", "mass recall", "exactness")]
    assert table.groups == [("", 1), *groups] and table.headers[:3] == ["predictor", "80 %", "90 %"]
    assert all(len(row) == len(table.headers) == 13 for row in table.rows)


def test_the_best_come_first_and_bounds_last(frames):
    names = ("window", "oracle", "kmeans", "cos")
    expected = ["Cosine distance", "K-means clusters", "Window", "Oracle top-k"]
    assert texts(content.sparsity_table("x", frames.at_sparsity(names), "0", "none")) == expected
    assert texts(content.areas_table("x", frames.areas(names), "0", "none")) == expected


def test_attentions_stay_together_and_are_named(frames):
    table = frames.areas(("window", "cos"), attentions=("entmax~1.5", "entmax~2"))
    shown = content.areas_table("x", table, "0", "none")
    assert texts(shown, 1) == ["entmax 1.5", "entmax 1.5", "entmax 2", "entmax 2"]
    assert sum(row[2].best for row in shown.rows) == 2


def test_areas_show_sizes_with_their_intervals(frames):
    table = frames.areas(("cos", "window"))
    shown = content.areas_table("x", table, "all", "none")
    row = table.query("windows == 'all' and predictor == 'cos'").iloc[0]
    cell = shown.rows[0][1]
    assert cell.text == f"{row['area_recall']:.3f}" and float(cell.key) == row["area_recall"]
    half = (row["area_recall_high"] - row["area_recall_low"]) / 2
    assert cell.interval.replace("\N{NO-BREAK SPACE}", " ") == f"± {half:.3f}"
    assert shown.headers == ["predictor", *["recall", "mass recall", "exactness"] * 2]


@pytest.mark.parametrize(
    "half, text",
    [(0.02, "± 0.02"), (0.001, "± <0.01"), (0.0, ""), (float("nan"), "")],
    ids=["plain", "small", "nothing", "none"],
)
def test_intervals_are_rounded_for_readers(half, text):
    row = pd.Series({"recall": 0.5, "recall_low": 0.5 - half, "recall_high": 0.5 + half})
    assert content._value_cell(row, "recall", 2, False).interval.replace("\N{NO-BREAK SPACE}", " ") == text


def test_missing_values_are_dashes_that_sort_last(frames):
    cells = content.sparsity_table("x", frames.at_sparsity(("longformer", "cos")), "0", "none").rows[1]
    assert (cells[4].text, cells[4].key, cells[4].best) == ("–", "", False)


def test_projections_are_named_when_there_are_several(frames):
    both = (frames.PROJECTION, "kind~mlp_dim~8_hidden~32_shared~false")
    shown = content.areas_table("x", frames.areas(("cos", "window"), projections=both), "0", "none")
    assert shown.headers[:2] == ["predictor", "projection"]
    assert {row[1].text for row in shown.rows} == {"linear, dim 4, shared", "mlp, dim 8, hidden 32, separate", "–"}


def test_intervals_join_their_column(tables_of_seeds):
    table = content.plain_table("masked_lm", read_table(tables_of_seeds / "masked_lm.tsv"))
    assert "loss" in table.headers and not any("ci95" in header for header in table.headers)
    assert "±" in table.rows[1][table.headers.index("loss")].text


def test_an_only_attention_is_left_out(frames):
    one = content.plain_table("deviations", frames.deviations()[["attention", "quirk"]])
    assert one.headers == ["quirk"] and one.rows[0][0].text == "top by rank"
    two = pd.DataFrame({"attention": ["entmax~1.5", "softmax"], "loss": [1.0, 2.0]})
    assert content.plain_table("masked_lm", two).headers == ["attention", "loss"]


def test_equal_values_are_not_marked(frames):
    table = frames.areas(("cos", "window")).assign(area_recall=0.1)
    assert not any(row[1].best for row in content.areas_table("x", table, "0", "none").rows)
    assert content.areas_table("x", table.query("predictor == 'cos'"), "0", "none").rows[0][1].best


def test_predictors_that_miss_the_compared_sparsity_are_ordered_by_the_next(frames):
    table = frames.at_sparsity(("cos", "kmeans", "window"))
    short = table["predictor"].isin(["window", "kmeans"]) & (table["at_sparsity"] == 0.95)
    table.loc[short, "recall"] = float("nan")
    assert texts(content.sparsity_table("x", table, "0", "none")) == ["Cosine distance", "K-means clusters", "Window"]


def test_prunings_are_written_in_words_and_a_single_one_is_left_out():
    names = ["mode~topk_final~0.1", "mode~threshold_lambda~0.1_final~0.005"]
    frame = pd.DataFrame({"pruning": names, "layer": [0, 1], "before": [0.00125, 0.005], "after": [0.0012, 0.0083]})
    shown = content.plain_table("thresholds", frame)
    assert [row[0].text for row in shown.rows] == ["topk, final 0.1", "threshold, lambda 0.1, final 0.005"]
    assert [cell.text for cell in shown.rows[0][2:]] == ["0.00125", "0.00120"]
    assert content.plain_table("thresholds", frame[:1]).headers == ["layer", "before", "after"]


def test_answers_and_settings_are_written_in_words():
    rows = pd.DataFrame({"setting": ["top~2", None], "dense_empty_rows": [True, False]})
    table = content.plain_table("sparse_mlm", rows)
    assert list(table.headers) == ["setting", "dense where empty"]
    assert [[cell.text for cell in row] for row in table.rows] == [["top 2", "yes"], ["–", "no"]]
    # the page sorts by the key
    assert [row[1].key for row in table.rows] == ["yes", "no"]


def test_half_widths_of_intervals_are_kept_in_full(frames):
    frame = pd.DataFrame([{"name": "a", "loss": 1.23456, "loss_ci95": 0.0123456}, {"name": "b", "loss": 2.0}])
    (first, second) = content.plain_table("x", frame).rows
    assert (first[1].text, first[1].key, first[1].half) == ("1.235 ± 0.012", "1.23456", "0.0123456")
    assert (second[1].text, second[1].half) == ("2.000", "")
    row = pd.Series({"recall": 0.5, "recall_low": 0.25, "recall_high": 0.75})
    assert content._value_cell(row, "recall", 2, False).half == "0.25"


def test_a_missing_name_does_not_make_a_column_one_of_numbers():
    shown = content.plain_table(
        "x", pd.DataFrame({"name": ["a", "b"], "setting": [float("nan"), "k~1"], "n": [1.5, 2]})
    )
    assert [cell.numeric for cell in shown.rows[0]] == [False, False, True] and shown.rows[0][1].text == "–"
