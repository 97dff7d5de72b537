"""The tables of a run, and the inputs of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sparse_attention.errors import InputError
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.settings.results import KINDS
from sparse_attention.summaries import planned
from sparse_attention.summaries.registry import discover

CONFIG = yaml.safe_load((Path(__file__).parents[3] / "config/config.yaml").read_text(encoding="utf-8"))


def test_a_run_that_makes_everything_has_every_table():
    assert list(planned.planned(KINDS, CONFIG)) == list(discover())


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ({"gold"}, {"gold_sparsity"}),
        ({"block_evaluations"}, {"predictors_by_block"}),
        ({"evaluations"}, {"predictors", "predictors_by_block", "predictors_by_head", "pareto", "best_by_head",
                           "best_by_layer", "offsets"}),
        ({"buckets", "common"}, {"buckets", "common_buckets"}),
    ],
    ids=["gold", "blocks", "a table from a table", "buckets"],
)  # fmt: skip
def test_a_run_lacks_what_it_cannot_make(without, missing):
    assert set(discover()) - set(planned.planned(KINDS - without, CONFIG)) == missing


def test_named_inputs_are_tables_and_files():
    files = {"offsets": FileList(["a.tsv", "b.tsv"], [{}, {}])}
    given = planned.inputs_of(discover()["offsets"], files)
    assert given == {"tables": ["results/tables/predictors.tsv"], "offsets": ["a.tsv", "b.tsv"]}


def test_captions_are_those_of_the_tables_of_a_rule():
    assert set(planned.captions_of(discover(), "summarise_uncertainty")) == {"predictors_at_sparsity", "areas"}


def test_a_setting_is_read_by_its_dotted_key():
    setting = planned.setting_of(discover()["offsets"], {"figures": {"heatmap": {"sparsity": 0.9}}})
    assert setting == {"figures.heatmap.sparsity": 0.9}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"needs": ("golden",)},
            r"tables\.gold_sparsity: needs: 'golden' is not allowed; allowed: attention_timings, ",
        ),
        ({"tables": ("golden",)}, r"tables\.gold_sparsity: tables: 'golden' is not allowed; allowed: areas, "),
        ({"tables": ("gold_sparsity",)}, r"tables: gold_sparsity is made from itself"),
        ({"settings": ("figures.x",)}, r"tables\.gold_sparsity: the configuration has no key figures\.x"),
    ],
    ids=["kind", "table", "itself", "setting"],
)
def test_unknown_names_and_circles_are_refused(change, message, monkeypatch):
    changed = discover() | {"gold_sparsity": replace(discover()["gold_sparsity"], **change)}
    monkeypatch.setattr(planned, "discover", lambda: changed)
    with pytest.raises(InputError, match=message):
        planned.planned(KINDS, CONFIG)
