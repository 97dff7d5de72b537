"""What the documents show is accepted, and what they link to is there."""

from __future__ import annotations

import copy
import pkgutil
import re
from pathlib import Path

import pytest
import yaml

from sparse_attention.files.yaml import dotted
from sparse_attention.settings import config as settings
from sparse_attention.settings.origins import Origins

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "config/README.md", "results/README.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
PRESETS = [
    "config/demo.yaml",
    "config/study.yaml",
    "config/paper.yaml",
    "config/grids/mlm.yaml",
    "config/grids/mt.yaml",
]


def merged(base, overlay):
    """Overlay as Snakemake does: mappings merge, everything else replaces."""
    result = copy.deepcopy(base)
    for key, value in overlay.items():
        both = isinstance(result.get(key), dict) and isinstance(value, dict)
        result[key] = merged(result[key], value) if both else value
    return result


def snippets():
    """Yield the indented blocks of the documents that are configuration."""
    for document in DOCUMENTS:
        for block in re.findall(r"\n\n((?: {4}.+\n|\n(?= {4}))+)", document.read_text(encoding="utf-8")):
            text = re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
            if re.match(rf"({'|'.join(DEFAULTS)}):", text):
                yield pytest.param(text.replace("…", "1"), id=f"{document.name}-{text.split(':')[0]}")


@pytest.mark.parametrize("text", list(snippets()))
def test_shown_configuration_is_accepted(text):
    problems = [
        f"{dotted(key)}: {why}" for key, why, _ in settings.schema().problems(merged(DEFAULTS, yaml.safe_load(text)))
    ]
    assert problems == []


def test_there_are_snippets():
    assert len(list(snippets())) >= 6


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_accepted(preset):
    config = merged(DEFAULTS, yaml.safe_load((ROOT / preset).read_text(encoding="utf-8")))
    registry = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text(encoding="utf-8"))
    settings.validate(config, Origins(), registry, ROOT)


def test_the_library_has_what_the_documents_name():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    named = {name for text in texts for name in re.findall(r"sparse_attention(?:\.\w+){2,}", text)}
    assert len(named) >= 4
    # a name that is not there raises
    assert all(pkgutil.resolve_name(name) for name in sorted(named))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert broken == []
