"""The site of the documents is built without a broken link, and leaves no document and no key out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import build_docs
import configuration_page
from sparse_attention.settings.config import schema

ROOT = Path(__file__).parents[2]
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    assert build_docs.build(folder) == 0
    return folder


def test_every_document_is_a_page_and_stands_in_the_navigation(site):
    for path in (ROOT / "docs").glob("*.md"):
        assert (site / "docs" / f"{path.stem}.html").is_file() and f"docs/{path.name}" in NAVIGATION, path.name


def test_a_docstring_is_shown_with_its_parts(site):
    page = (site / "library/attention.html").read_text(encoding="utf-8")
    assert "sparse_attention.attention.entmax.entmax" in page and "Parameters" in page


def test_a_broken_link_is_an_error(tmp_path, monkeypatch, capfd):
    stage = build_docs.stage

    def with_broken_link(folder):
        stage(folder)
        (folder / "docs/tutorial.md").write_text("# A page\n\n[nowhere](nowhere.md)\n")

    monkeypatch.setattr(build_docs, "stage", with_broken_link)
    monkeypatch.setattr(build_docs, "SHOWN", {"errors": "one page"})
    assert build_docs.build(tmp_path / "site") != 0
    assert "nowhere.md" in capfd.readouterr().err


def test_every_key_stands_on_the_page_with_its_meaning():
    text = (ROOT / "config/config.yaml").read_text(encoding="utf-8")
    found = {key.path: key for key in configuration_page.keys(text)}
    assert {path[0] for path in found} == set(schema().content["properties"])
    steps = found["train_mlm", "steps"]
    assert steps.default == str(yaml.safe_load(text)["train_mlm"]["steps"]) and "whole number" in schema().allowed(
        steps.path
    )
    assert found["kernels",].meaning.startswith("auto: attention compiled in C++")
    assert "`steps`" in configuration_page.page()
