"""What the documents show is accepted, and what they link to is there."""

from __future__ import annotations

import copy
import pkgutil
import re
import shlex

import pytest
import yaml
from snakemake.cli import get_argument_parser

from documented import DOCUMENTS, ROOT, commands
from sparse_attention.files.yaml import dotted
from sparse_attention.settings import config as settings
from sparse_attention.settings.origins import Origins

DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
PRESETS = [
    "config/demo.yaml",
    "config/study.yaml",
    "config/paper.yaml",
    "config/reference-text.yaml",
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


def test_the_preset_of_the_study_is_accepted_beside_the_model_that_it_starts_from(tmp_path):
    config = merged(DEFAULTS, yaml.safe_load((ROOT / "config/reference.yaml").read_text(encoding="utf-8")))
    model = config["models"][config["model"]]
    folder = tmp_path / model["path"]  # made by the first of the two runs of `make reference`
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    registry = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text(encoding="utf-8"))
    settings.validate(config, Origins(), registry, tmp_path)


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


def test_targets_and_variables_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) [:?]= ?", makefile, re.MULTILINE))
    assert len(commands("make")) > 40
    for name, line in commands("make"):
        for word in (word for word in shlex.split(line)[1:] if not word.startswith("-")):
            known = word.split("=")[0] in variables if "=" in word else word in targets
            assert known or word == "X", f"{name}: {line}"


def test_snakemake_takes_the_arguments():
    parser = get_argument_parser()
    assert len(commands("snakemake")) > 8
    for name, line in commands("snakemake"):
        try:
            parser.parse_args(shlex.split(line)[1:])
        except SystemExit:
            pytest.fail(f"{name}: {line}")


def test_files_of_commands_exist():
    lines = [*commands("make"), *commands("snakemake"), *commands("python")]
    for name, line in lines:
        for path in re.findall(r"(?<![\w./-])(?:config|tools|profiles|benchmarks|tests|archive)/[\w./-]*\w", line):
            # files that readers write are called mine, or something of mine
            assert (ROOT / path).exists() or "mine" in path or "my-" in path, f"{name}: {line}"
