"""Sentences on areas, computation, heads, distances, buckets and quirks agree with the tables."""

import pandas as pd

from sparse_attention.reporting import insights


def in_one_line(sentences):
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_the_largest_areas_and_the_best_of_each_group_are_named(frames):
    table = frames.areas(("cos", "kmeans", "window", "oracle"), windows=("0", "all"))
    for place, name in enumerate(("kmeans", "cos", "window", "oracle")):
        where = (table["predictor"] == name) & (table["windows"] == "0")
        table.loc[where, "area_recall"] = 0.6 - 0.1 * place
        table.loc[where, ["area_recall_low", "area_recall_high"]] = 0.58 - 0.1 * place, 0.62 - 0.1 * place
    assert in_one_line(insights.areas(table, "0", "none")) == (
        "From 80 % sparsity up, K-means clusters has the highest mean recall: 0.60 ± 0.02, ahead of Cosine distance "
        "(0.50) and Window (0.40). The best of each group are K-means clusters among quantizers, Cosine distance among "
        "distances and Window among patterns that ignore content."
    )
    assert insights.areas(table, "3", "none") == []


def test_a_single_predictor_is_ahead_of_none(frames):
    text = in_one_line(insights.areas(frames.areas(("cos",)), "0", "none"))
    assert text.startswith("From 80 % sparsity up, Cosine distance has the highest") and "ahead" not in text


def points(frames, **costs):
    table = frames.predictors((*costs, "oracle"), windows=(0,), points=2)
    for name, cost in costs.items():
        own = table["predictor"] == name
        table.loc[own, ["sparsity", "recall"]] = [[0.9, 0.6], [0.5, 0.85]]
        table.loc[own, "computation_sparsity"] = table.loc[own, "sparsity"] - cost
    return table


def test_the_predictor_with_the_least_computation_is_named(frames):
    text = in_one_line(insights.computation(points(frames, cos=0.2, kmeans=0.05), 0, "none"))
    assert text == (
        "To recall at least 80 % of the gold pairs, K-means clusters needs least computation: it saves 45 % of full "
        "attention's scores, the cost of predicting included, with a support of 50 % sparsity. Cosine distance spends "
        "most on predicting: 20 % of full attention's scores at its median point."
    )


def test_a_lower_recall_is_taken_when_the_first_costs_too_much(frames):
    text = in_one_line(insights.computation(points(frames, cos=0.6), 0, "none"))
    assert text.startswith("To recall at least 50 % of the gold pairs, Cosine distance needs least computation")
    text = in_one_line(insights.computation(points(frames, cos=0.95, l2=0.6), 0, "none"))
    assert text.endswith("Cosine distance costs more than full attention at every point.")
    text = in_one_line(insights.computation(points(frames, cos=0.95), 0, "none"))
    assert text.startswith("No predictor recalls 50 % of the gold pairs for less than full attention.")


def test_unknown_costs_are_not_mentioned(frames):
    assert insights.computation(points(frames, cos=float("nan")), 0, "none") == []


def heads():
    rows = [(0, 0, "A", 0.5, 0.1), (0, 1, "A", 0.9, 0.005), (1, 0, "B", 0.7, 0.2), (1, 1, "A", 0.6, 0.3)]
    table = pd.DataFrame(rows, columns=["layer", "head", "label", "recall", "margin"])
    return table.assign(attention="entmax~1.5", at_sparsity=0.95)


def test_the_heads_for_which_each_predictor_is_best_are_counted():
    assert in_one_line(insights.heads(heads())) == (
        "At 95 % sparsity A is best in 3 of 4 heads, B in 1. The recall of the best predictor ranges from 50 % "
        "(layer 0, head 0) to 90 % (layer 0, head 1); in 1 head the next predictor is less than a point behind."
    )


def test_one_predictor_can_be_best_everywhere():
    text = in_one_line(insights.heads(heads().assign(label="A", margin=0.5)))
    assert text.startswith("At 95 % sparsity A is best in 4 of 4 heads. ") and "behind" not in text


def test_several_attentions_have_sentences_of_their_own():
    both = pd.concat([heads(), heads().assign(attention="entmax~2")])
    assert [sentence.split(":")[0] for sentence in insights.heads(both)[::2]] == ["For entmax 1.5", "For entmax 2"]


def test_predictors_are_compared_with_the_distances_of_gold_pairs():
    shares = {"A": (0.6, 0.3, 0.1), "B": (0.1, 0.1, 0.8), "Random": (0.0, 0.0, 1.0)}
    rows = [
        (label, "lower" if label == "Random" else None, distance, share, gold)
        for label, own in shares.items()
        for distance, share, gold in zip(("0", "5-8", "9-16"), own, (0.4, 0.3, 0.3), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["label", "bound", "distance", "share", "gold_share"])
    table = table.assign(attention="entmax~1.5", predictor=table["label"], projection="kind~none")
    assert in_one_line(insights.distances(table)) == (
        "70 % of the gold pairs are at most 8 tokens apart. A keeps pairs at the distances most like those of "
        "the gold support: 20 % of its pairs lie at other distances; B keeps those least like them, with 50 %."
    )


def test_quantizers_are_compared_by_evenness_and_by_gold_pairs_in_common_buckets(frames):
    filling = frames.buckets(("fixed", "kmeans"), layers=1)
    filling["entropy"] = filling["predictor"].map({"fixed": 1.0, "kmeans": 0.7})
    rows = [("a", 0, 60.0, 1.0), ("a", 1, 40.0, 3.0), ("b", 0, 85.0, 1.0), ("b", 2, 15.0, 1.0)]
    common = pd.DataFrame(rows, columns=["predictor", "common", "pairs", "gold_pairs"])
    common = common.assign(label=common["predictor"].str.upper(), attention="entmax~1.5", projection="kind~none")
    common = common.assign(point="p", layer=0, distance_bin="0-1")
    text = in_one_line(insights.buckets(filling, common, 0.9))
    assert text == (
        "Fixed buckets (1.00) fills its buckets most evenly, K-means clusters (0.70) least, by entropy averaged over "
        "all points. The buckets of B separate gold pairs best: 50 % of the gold pairs have a bucket in common, "
        "and 15 % of all pairs."
    )
    assert insights.buckets(None, None, 0.9) == []
    assert len(insights.buckets(filling, None, 0.9)) == len(insights.buckets(None, common, 0.9)) == 1


def test_without_gold_pairs_buckets_are_not_compared(frames):
    common = frames.common_buckets(("fixed",)).assign(gold_pairs=0.0)
    assert insights.buckets(None, common, 0.9) == []


def test_the_quirk_that_changes_most_is_compared_with_chance(frames):
    table = frames.deviations()
    assert in_one_line(insights.deviations(table)) == (
        "Of 2 quirks, “top by rank” changes recall most: it lowers the recall of kmeans clusters 8, top 2 from 41 % "
        "to 33 %, its sparsity from 90 % to 95.0 %. "
        "Another seed alone moves recall by up to 0.2 points; 2 quirks move it further."
    )
    assert len(insights.deviations(table[table["quirk"] != insights.CONTROL])) == 1
    assert insights.deviations(table[table["metric"] == "sparsity"]) == []
