"""The comparisons of quirks, their examples, and the table in docs/deviations.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import write_deviations
from sparse_attention import deviations
from sparse_attention.as_published import QUIRKS
from sparse_attention.deviations import COLUMNS, Sample, fits, measure, predicting
from sparse_attention.deviations.comparing import Comparison, Widened
from sparse_attention.errors import InputError
from sparse_attention.evaluation.examples import Split
from sparse_attention.evaluation.sweep import evaluate
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections.fitting import FitOptions, fit_layer
from sparse_attention.projections.weights import ProjectionSetting
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
from sparse_attention.summaries.tables.deviations import deviations_table

NOT_MEASURED = {"dense_empty_rows"}
OPTIONS = FitOptions(epochs=2, batch_size=2)


def write_store(folder: Path, split: str, lengths, keys=None, layers=4, seed=0) -> None:
    draws, keys = torch.Generator().manual_seed(seed), keys or lengths
    documents = tuple(f"{split} {i}" for i in range(len(lengths)))
    info = QKInfo(layers, 3, 6, tuple(lengths), tuple(keys), documents, local_windows=(None, 9, 8, 7)[:layers])
    with QKWriter(folder / "qk" / split, info) as writer:
        for layer in range(layers):
            for i, sizes in enumerate(zip(lengths, keys, strict=True)):
                writer.write(layer, i, *(2 * torch.randn(3, n, 6, generator=draws) for n in sizes))
    with GoldWriter(folder / "gold" / split, info) as writer:
        for layer in range(layers):
            for example in QKReader(folder / "qk" / split).examples(layer):
                writer.write(layer, example, gold_of(example, info.alpha))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder, "train", (12, 16, 9, 16, 14, 16, 11), seed=1)
    write_store(folder, "validation", (14, 16, 10, 16), seed=2)
    return folder


def sample(stores, split="validation", layers=2, examples=9) -> Sample:
    return Sample.read(stores / "qk" / split, stores / "gold" / split, layers, examples)


@pytest.fixture(scope="module")
def comparison(stores):
    return Comparison(sample(stores, "train"), sample(stores), OPTIONS, 1)


@pytest.fixture(scope="module")
def table(stores):
    return measure(sample(stores, "train"), sample(stores), OPTIONS, 1)


class TestSample:
    @pytest.mark.parametrize(("layers", "places"), [(1, [0]), (2, [0, 3]), (3, [0, 2, 3]), (9, [0, 1, 2, 3])])
    @pytest.mark.parametrize(("examples", "chosen"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])])
    def test_layers_and_examples_are_evenly_spread(self, stores, layers, places, examples, chosen):
        found, whole = (
            sample(stores, layers=layers, examples=examples),
            Split(stores / "qk/validation", stores / "gold/validation"),
        )
        assert found.info.layers == len(places) and found.info.examples == len(chosen)
        assert found.info.documents == tuple(f"validation {i}" for i in chosen)
        assert found.info.local_windows == tuple(whole.info.local_windows[layer] for layer in places)
        for layer, place in enumerate(places):
            for i, index in enumerate(chosen):
                example, expected = found.qk.example(layer, i), whole.qk.example(place, index)
                assert example.index == i
                assert all(torch.equal(getattr(example, x), getattr(expected, x)) for x in ("queries", "keys", "valid"))
                assert torch.equal(found.gold.example(layer, i).support, whole.gold.example(place, index).support)

    def test_a_sample_is_evaluated_and_fitted_on_as_the_store(self, stores):
        whole, found = Split(stores / "qk/validation", stores / "gold/validation"), sample(stores, layers=4)
        point = {"threshold": [0.1, 1.0]}
        expected, ours = (evaluate(create("cos", Context(1)), x, point, [0, 3]).table for x in (whole, found.split()))
        pd.testing.assert_frame_equal(ours, expected)
        setting = ProjectionSetting("linear", 4, True)
        weights = [fit_layer(layer, found.pairs(), found.pairs(), setting, OPTIONS, 1)[0] for layer in range(4)]
        ours = Comparison(found, found, OPTIONS, 1).projections
        assert all(torch.equal(a[0]["w"], b[0]["w"]) for a, b in zip(weights, ours.layers, strict=True))
        assert ours.setting == setting

    def test_ragged_examples_have_spread_lengths_and_their_own_gold_support(self, stores):
        whole = sample(stores)
        found = whole.ragged()
        shares = sorted(n / m for n, m in zip(found.info.query_lengths, whole.info.query_lengths, strict=True))
        assert np.allclose(shares, [0.25, 0.5, 0.75, 1], atol=0.1)
        assert found.info.key_lengths == found.info.query_lengths and found.longest == max(found.info.query_lengths)
        for layer in range(2):
            for i, n in enumerate(found.info.query_lengths):
                example, before = found.qk.example(layer, i), whole.qk.example(layer, i)
                assert torch.equal(example.queries, before.queries[:, :n]) and torch.equal(
                    example.valid, before.valid[:n, :n]
                )
                assert torch.equal(found.gold.example(layer, i).support, gold_of(example, 1.5).support)

    def test_causal_examples_have_earlier_keys_only(self, stores):
        found = sample(stores).causal()
        for layer in range(2):
            for example, gold in zip(found.qk.examples(layer), found.gold.examples(layer), strict=True):
                assert not example.valid.triu(1).any() and example.valid.diagonal().all()
                assert torch.equal(gold.support, gold_of(example, 1.5).support)

    def test_gold_sparsity_is_that_of_the_store(self, stores):
        whole = Split(stores / "qk/validation", stores / "gold/validation").gold
        assert sample(stores, layers=4).gold_sparsity() == pytest.approx(whole.sparsity.mean(), rel=1e-6)

    def test_rectangular_examples_are_cut_on_both_sides(self, tmp_path):
        write_store(tmp_path, "validation", (8, 12), keys=(16, 10), layers=1)
        found = sample(tmp_path)
        assert not found.square and sample(tmp_path).longest == 16
        assert set(zip(found.ragged().info.query_lengths, found.ragged().info.key_lengths, strict=True)) in (
            {(4, 8), (12, 10)}, {(8, 16), (6, 5)},
        )  # fmt: skip


class TestMeasured:
    def test_every_quirk_is_measured(self, table):
        assert list(table.columns) == list(COLUMNS)
        assert set(table["quirk"]) == set(QUIRKS) - NOT_MEASURED | {fits.CONTROL, fits.TOGETHER}
        assert not table[["quirk", "subject", "metric"]].duplicated().any()
        assert table.drop(columns="subject").notna().all(axis=None)
        assert (table["layers"] == 2).all() and (table["examples"] == 4).all()
        difference = table["as_published"] - table["corrected"]
        np.testing.assert_allclose(table["difference"], difference, atol=1e-12)

    def test_it_repeats_itself_and_leaves_the_global_generators_alone(self, stores, table):
        torch.manual_seed(5)
        np.random.seed(5)
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
        again = measure(sample(stores, "train"), sample(stores), OPTIONS, 1)
        pd.testing.assert_frame_equal(again, table)
        assert torch.equal(before[0], torch.random.get_rng_state()) and (before[1] == np.random.get_state()[1]).all()

    def value(self, table, quirk, metric, subject=""):
        rows = table[(table["quirk"] == quirk) & (table["metric"] == metric) & table["subject"].str.contains(subject)]
        return rows.iloc[0]

    def test_only_strides_that_the_published_code_takes_are_measured(self, table):
        # the shortest example has 10 tokens: one block of 16
        rows = table[table["quirk"] == "strided_both_ends"]
        assert set(rows["subject"]) == {"strided stride~4_expressivity~2"}

    def test_numbers_go_where_the_quirks_point(self, table):
        rank = self.value(table, "rank_matched_clusters", "sparsity")
        assert rank["difference"] > 0 > self.value(table, "rank_matched_clusters", "recall")["difference"]
        assert self.value(table, "forced_diagonal", "sparsity")["difference"] < 0
        assert self.value(table, "negatives_by_rank", "invalid_share", "ragged")["as_published"] > 0.05
        assert self.value(table, "negatives_by_rank", "invalid_share", "ragged")["corrected"] == 0
        assert self.value(table, "negatives_by_rank", "invalid_share", "causal")["as_published"] > 0.1
        assert self.value(table, "positives_as_negatives", "gold_share")["as_published"] > 0
        assert self.value(table, "rescaled_queries", "sparsity")["difference"] > 0.05
        assert self.value(table, "overwritten_probabilities", "mass")["as_published"] < 1
        assert self.value(table, "first_cluster_only", "sparsity")["difference"] > 0
        assert self.value(table, "entmax_of_later_keys", "sparsity")["difference"] > 0
        assert self.value(table, "strided_both_ends", "sparsity")["difference"] < -0.1
        assert self.value(table, "routing_of_first_batch", "recall")["difference"] != 0
        assert self.value(table, "last_of_padded_batch", "sparsity")["difference"] > 0
        assert self.value(table, "computation_sparsity", "computation_sparsity", "dynamic")["as_published"] < 0

    def test_heads_together_are_never_less_even_than_each_alone(self, table):
        rows = table[table["quirk"] == "pooled_entropy"]
        assert len(rows) == 2 and (rows["difference"] > 0).all() and (rows["as_published"] < np.log(8)).all()

    def test_another_seed_changes_projections(self, table):
        rows = table[table["quirk"] == fits.CONTROL]
        subjects = ("projections", "cos sparsity~0.95", "l2 sparsity~0.95")
        assert list(rows["subject"]) == [name + where for where in ("", ", ragged", ", causal") for name in subjects]
        assert (rows["difference"] != 0).any()

    def test_of_rectangular_examples_all_is_measured_but_what_needs_a_key_for_each_query(self, tmp_path):
        for split in ("train", "validation"):
            write_store(tmp_path, split, (8, 12, 10, 9, 9), keys=(16, 10, 11, 12, 9), layers=1)
        found = measure(sample(tmp_path, "train"), sample(tmp_path), OPTIONS, 1)
        missing = {"overwritten_probabilities", "reformer_reseeding", *NOT_MEASURED}
        assert set(found["quirk"]) == set(QUIRKS) - missing | {fits.CONTROL, fits.TOGETHER}

    def test_published_computation_sparsity_of_fixed_buckets_by_hand(self, comparison):
        split = comparison.validation.split(comparison.projections)
        batch = [features for features, _ in split.layer(0)]
        found = predicting.published_computation(create("fixed", Context(1)), batch, {"bucket_size": 4}, 0)
        by_hand = [1 - 3 * 4 * -(-n // 4) * 16 / n**2 for n in split.info.query_lengths]
        assert found == pytest.approx(sum(by_hand) / len(by_hand))

    def test_published_batches_are_of_16(self):
        assert [len(batch) for batch in predicting.batches_of(range(35))] == [16, 16, 3]

    def test_a_mask_is_added_to_a_predictor(self, comparison):
        def right_of_query(queries, keys):
            return torch.ones(queries, keys, dtype=torch.bool).triu(1)

        predictor = Widened(create("window", Context(1)), right_of_query)
        edges = evaluate(predictor, comparison.validation.split(), {"width": [1]}).table["edges"]
        # of the first layer, where every pair is valid
        expected = [n * (n + 1) / 2 for n in comparison.validation.info.query_lengths]
        assert edges[:3].to_list() == pytest.approx(3 * [sum(expected) / len(expected)])


class TestDocument:
    TEXT = f"# Before\n\n{write_deviations.BEGIN}\nstale numbers\n{write_deviations.END}\n\nAfter\n"

    def tables(self, table, seeds=(1, 2), attentions=("entmax~1.5",)):
        frames = [
            table.assign(attention=attention, seed=seed, as_published=table["as_published"] + seed)
            for attention in attentions
            for seed in seeds
        ]
        return deviations_table(pd.concat(frames))

    def written(self, tmp_path, table, text=TEXT):
        document, path = tmp_path / "deviations.md", tmp_path / "deviations.tsv"
        document.write_text(text, encoding="utf-8")
        table.to_csv(path, sep="\t", index=False)
        write_deviations.main(path, document)
        return document.read_text(encoding="utf-8")

    def test_means_over_seeds(self, table):
        means = self.tables(table)
        assert len(means) == len(table) and (means["seeds"] == 2).all()
        np.testing.assert_allclose(means["as_published"], table["as_published"] + 1.5)
        assert (means["corrected_ci95"].abs() < 1e-9).all() and (means["as_published_ci95"] > 1).all()
        assert list(means["quirk"]) == list(table["quirk"])

    def test_the_measured_part_is_replaced_and_nothing_else(self, table, tmp_path):
        once = self.written(tmp_path, self.tables(table))
        assert once.startswith("# Before\n\n") and once.endswith("\n\nAfter\n") and "stale" not in once
        assert self.written(tmp_path, self.tables(table), once) == once
        for name, quirk in QUIRKS.items():
            assert f"| `{name}` | {quirk.changes} | {quirk.published} |" in once
        assert "Not measured: `dense_empty_rows`." in once and "means over 2 seeds" in once
        lines = [line for line in once.splitlines() if line.startswith("| `")]
        assert len(lines) == len(QUIRKS) + 2 + len(table)
        assert {line.count(" | ") for line in lines} == {2, 5}

    def test_empty_rows_are_read_from_the_language_model(self, table, tmp_path):
        point = {"attention": "entmax~1.5", "predictor": "cos", "projection": "p", "setting": "threshold~0.1",
                 "window": 0, "keep": "none", "finetuned": 0, "seeds": 1}  # fmt: skip
        rows = [
            {**point, "dense_empty_rows": True, "loss": 5.25, "empty_queries": 0.25},
            {**point, "dense_empty_rows": False, "loss": 6.0, "empty_queries": 0.5},
            {**point, "setting": "threshold~0.4", "dense_empty_rows": False, "loss": 5.5, "empty_queries": 0.0},
        ]
        pd.DataFrame(rows).to_csv(tmp_path / write_deviations.SPARSE, sep="\t", index=False)
        text = self.written(tmp_path, self.tables(table))
        row = "| `dense_empty_rows` | masked language model, cos threshold~0.1 | loss | 6.0000 | 5.2500 | −0.7500 |"
        assert row in text and "Not measured" not in text and text.count("masked language model, cos") == 2

    def test_one_seed_has_no_intervals(self, table, tmp_path):
        text = self.written(tmp_path, self.tables(table, seeds=(1,)))
        assert "±" not in text.split("| Difference |")[1] and "one seed" in text

    def test_attentions_stand_apart(self, table, tmp_path):
        text = self.written(tmp_path, self.tables(table, attentions=("entmax~1.5", "entmax~2")))
        assert "| entmax~2: projections |" in text and "attention entmax 1.5, entmax 2" in text

    @pytest.mark.parametrize(
        "text", ["nothing", write_deviations.BEGIN, f"{write_deviations.END}{write_deviations.BEGIN}"]
    )
    def test_a_document_without_markers_is_left_alone(self, table, tmp_path, text):
        with pytest.raises(InputError, match="are missing"):
            self.written(tmp_path, self.tables(table), text)
        assert (tmp_path / "deviations.md").read_text() == text

    def test_a_missing_table_is_told(self, tmp_path):
        with pytest.raises(InputError, match="the file is missing"):
            write_deviations.main(tmp_path / "none.tsv", tmp_path / "none.md")

    @pytest.mark.parametrize(
        ("value", "sign", "text"),
        [(0.123456, "", "0.1235"), (0.1, "+", "+0.1000"), (-0.1, "+", "−0.1000"), (-0.00001, "+", "0.0000"),
         (0.0, "+", "0.0000"), (-12345.6, "", "−12,346")],
    )  # fmt: skip
    def test_numbers(self, value, sign, text):
        assert write_deviations.format_number(value, sign) == text

    def test_the_document_has_its_markers_and_names_every_quirk(self):
        text = write_deviations.DOCUMENT.read_text(encoding="utf-8")
        assert text.count(write_deviations.BEGIN) == text.count(write_deviations.END) == 1
        assert set(QUIRKS) <= set(re.findall(r"`(\w+)`", text))


def test_each_part_is_measured_once():
    assert len(set(deviations.PARTS)) == len(deviations.PARTS)
