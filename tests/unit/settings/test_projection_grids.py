"""Projections with blocks of tokens and with query and key together: settings, path segments, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sparse_attention.errors import InputError
from sparse_attention.files.segments import parse_segment
from sparse_attention.settings import config as settings
from sparse_attention.settings import grids
from sparse_attention.settings.origins import Origins

ROOT = Path(__file__).parents[3]
FILE = str(ROOT / "config" / "config.yaml")
REGISTRY = {
    "enwiki-2016-excerpt": {"kind": "text", "version": "1"},
    "all-minilm-l6-v2": {"kind": "model", "version": "1"},
    "pypi-bandit": {"kind": "code", "version": "1"},
}
LINEAR = {"kind": "linear", "dim": 4, "shared": True}
EXPANDED = {
    "defaults that are spelt out": ([LINEAR | {"block_size": 1, "concat": False}], ["kind~linear_dim~4_shared~true"]),
    "blocks": (
        [LINEAR | {"block_size": [1, 2, 16]}],
        ["kind~linear_dim~4_shared~true", "kind~linear_dim~4_shared~true_block_size~2",
         "kind~linear_dim~4_shared~true_block_size~16"],
    ),
    "concat": ([{"kind": "linear", "dim": 4, "concat": True}], ["kind~linear_dim~4_shared~true_concat~true"]),
    "everything": (
        [{"kind": "mlp", "dim": [2, 4], "hidden": 8, "concat": True, "block_size": 4}],
        ["kind~mlp_dim~2_hidden~8_shared~true_block_size~4_concat~true",
         "kind~mlp_dim~4_hidden~8_shared~true_block_size~4_concat~true"],
    ),
    "no projection": ([{"kind": "none", "block_size": [1, 4]}], ["kind~none", "kind~none_block_size~4"]),
    "blocks, separate": (
        [LINEAR | {"shared": [True, False], "block_size": 2}],
        ["kind~linear_dim~4_shared~true_block_size~2", "kind~linear_dim~4_shared~false_block_size~2"],
    ),
}  # fmt: skip


@pytest.fixture
def config():
    read = yaml.safe_load(Path(FILE).read_text())
    return read | {"predictors": {"window": {"width": [1]}}, "map_attention": None, "figures": read["figures"] | {
        "heatmap": {"predictor": "window", "sparsity": 0.9}}}  # fmt: skip


@pytest.mark.parametrize("name", EXPANDED)
def test_segments_name_only_what_is_not_the_default(name):
    entries, segments = EXPANDED[name]
    found = grids.projections({"projections": entries})
    assert list(found) == segments
    assert all(parse_segment(segment) == setting for segment, setting in found.items())


@pytest.mark.parametrize("name", EXPANDED)
def test_entries_with_blocks_and_concat_are_valid(config, name):
    entries, _ = EXPANDED[name]
    settings.validate(config | {"projections": entries}, Origins(), REGISTRY, ROOT)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (LINEAR | {"block_size": 0}, "projections[0].block_size: 0"),
        (LINEAR | {"block_size": 2.5}, "projections[0].block_size: 2.5"),
        (LINEAR | {"block_size": [2, 2]}, "projections[0].block_size: [2, 2]"),
        (LINEAR | {"concat": "yes"}, "projections[0].concat: 'yes' is not allowed; allowed: true | false"),
        (LINEAR | {"concat": True, "shared": False}, "projections[0].shared: false is not allowed with concat"),
        (LINEAR | {"concat": True, "shared": [True, False]}, "projections[0].shared: false"),
        ({"kind": "none", "concat": True}, "projections[0].concat: true is not allowed with kind none; allowed: false"),
        (
            {"kind": "none", "block_size": 2, "dim": 3},
            "projections[0]: kind none takes nothing in addition",
        ),
        ({"kind": "linear", "block_size": 2}, "projections[0]: kind linear takes dim in addition to kind, shared"),
        (LINEAR | {"blocksize": 2}, "projections[0].blocksize: no such key; did you mean block_size?"),
    ],
    ids=["zero", "half", "repeats", "text", "separate", "also separate", "none", "none with dim", "no dim", "typo"],
)
def test_settings_that_exclude_each_other_are_reported(config, entry, words):
    with pytest.raises(InputError) as caught:
        settings.validate(config | {"projections": [entry]}, Origins(), REGISTRY, ROOT)
    assert words in str(caught.value)
