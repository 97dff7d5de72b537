"""The presets' grids: as large as the published ones, and the study holds the published grid."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sparse_attention.predictors.registry import discover
from sparse_attention.settings.grids import as_list, product

CONFIG = Path(__file__).parents[2] / "config"
BOUNDS = {"oracle", "random"}


def grids(name):
    config = yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    return config["predictors"], config["evaluate"]["windows"]


@pytest.mark.parametrize(("name", "expected"), [("grids/mlm.yaml", 466), ("grids/mt.yaml", 1166)])
def test_the_published_grids_are_whole(name, expected):
    predictors, windows = grids(name)
    points = {key: len(product(grid)) for key, grid in predictors.items() if grid}
    assert points.pop("window") + sum(points.values()) * len(windows) == expected
    # every other predictor is switched off, but for the bounds
    assert set(predictors) | BOUNDS == set(discover())


def test_the_study_holds_the_published_grid():
    (study, study_windows), (published, windows) = grids("study.yaml"), grids("grids/mlm.yaml")
    assert set(windows) <= set(study_windows)
    for name, grid in published.items():
        for key, values in (grid or {}).items():
            assert set(as_list(values)) <= set(as_list(study[name][key])), f"{name}.{key}"
