"""The page on the architecture shows the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

import draw_architecture

ROOT = Path(__file__).parents[2]


def test_the_picture_is_that_of_the_code(tmp_path, monkeypatch):
    monkeypatch.setattr(draw_architecture, "PICTURE", tmp_path / "architecture.svg")
    draw_architecture.main()
    drawn = (ROOT / "docs" / "images" / "architecture.svg").read_bytes()
    assert (tmp_path / "architecture.svg").read_bytes() == drawn, "run make architecture"


def test_every_package_has_a_layer_and_a_purpose():
    packages = [package for layer in draw_architecture.layers() for package in layer]
    folder = draw_architecture.SCRIPTS / draw_architecture.PACKAGE
    found = {path.stem for path in folder.iterdir() if path.stem != "__pycache__"} - {"__init__"}
    assert sorted(packages) == sorted(found)
    assert all(draw_architecture.purpose(package) for package in packages)


def test_the_walks_go_through_the_scripts_that_the_page_names():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for scripts in draw_architecture.WALKS.values():
        assert set(scripts) <= set(re.findall(r"`(\w+)\.py`", page)) | {"summarise_predictors", "report", "plot"}
