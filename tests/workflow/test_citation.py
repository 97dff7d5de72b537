"""What Zenodo and readers are told about the software is the same everywhere."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_one():
    assert CITATION["version"] == ZENODO["version"] == PROJECT["version"]


def test_zenodo_is_told_what_the_citation_file_says():
    assert ZENODO["title"] == CITATION["title"] and ZENODO["keywords"] == CITATION["keywords"]
    assert ZENODO["license"] == CITATION["license"]
    assert [creator["name"] for creator in ZENODO["creators"]] == [author["name"] for author in CITATION["authors"]]
    cited = [reference["doi"] for reference in CITATION["references"]]
    assert [related["identifier"] for related in ZENODO["related_identifiers"]] == cited


def test_readme_cites_the_same_papers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(reference["doi"] in readme for reference in CITATION["references"])
