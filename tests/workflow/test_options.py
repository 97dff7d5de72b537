"""docs/options.md names only keys that exist, and leaves no option of the original scripts out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
# how many options each script's parser has
OPTIONS = {
    "pretrain_entmax_roberta_512.py": 21,
    "extract_entmax_attn.py": 6,
    "quantization.py": 36,
    "quantization_blocks.py": 31,
    "convert_kmeans_to_torch_centroids.py": 11,
    "cluster_analysis.py": 14,
    "split-attention.py": 2,
    # its own options, and four of the library's that its README sets
    "run_glue_code_metrics.py": 22,
    "run_code_metrics.py": 23,
    "ltp_test.py": 18,
    "ltp_extract_and_save.py": 13,
}


def rows():
    """Yield section, option cell, default cell, key cell and remark of every row of every table."""
    section = ""
    for line in (ROOT / "docs" / "options.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] not in ("Option", "Setting") and not set(cells[0]) <= {"-"}:
            assert len(cells) == 4, line
            yield section, *cells


ROWS = list(rows())


def exists(key: str, config=CONFIG, schema=SCHEMA) -> bool:
    """Whether a dotted key is in the configuration, or may be put there: optional keys are only in the schema.

    `<name>` is any entry of a mapping, `[]` any entry of a list.
    """
    return _in_config(parts(key), config) or _in_schema(parts(key), schema)


def parts(key):
    return key.replace("[]", ".[]").split(".")


def _in_config(names, value):
    if not names:
        return True
    if names[0] == "[]":
        return isinstance(value, list) and any(_in_config(names[1:], item) for item in value)
    if not isinstance(value, dict):
        return False
    if names[0] == "<name>":
        return any(_in_config(names[1:], item) for item in value.values())
    return names[0] in value and _in_config(names[1:], value[names[0]])


def _in_schema(names, schema):
    if not names:
        return True
    if names[0] == "[]":
        following = schema.get("items")
    elif names[0] == "<name>":
        following = schema.get("additionalProperties")
    else:
        following = schema.get("properties", {}).get(names[0])
    return isinstance(following, dict) and _in_schema(names[1:], following)


def problems(option, keys, remark):
    """Tell what is wrong with a row's cell of keys."""
    if keys == "none":
        return [] if remark else [f"{option}: say why there is no key"]
    named = re.findall(r"`([^`]+)`", keys)
    if not named or re.sub(r"`[^`]+`|[, ]", "", keys):
        return [f"{option}: {keys} is no list of keys"]
    return [f"{option}: no such key {key}" for key in named if not exists(key)]


@pytest.mark.parametrize("section", list(dict.fromkeys(section for section, *_ in ROWS)))
def test_named_keys_exist(section):
    rows = [row for where, *row in ROWS if where == section]
    assert rows
    assert [problem for option, _, keys, remark in rows for problem in problems(option, keys, remark)] == []


def test_wrong_cells_are_seen():
    assert problems("`--a`", "`seeds`", "") == problems("`--a`", "none", "why") == []
    for keys in ("none", "`seedz`", "seeds", "", "`seeds` and"):
        assert problems("`--a`", keys, ""), keys


@pytest.mark.parametrize("script", OPTIONS)
def test_no_option_is_left_out(script):
    options = {re.findall(r"`([^` ]+)", option)[-1] for section, option, *_ in ROWS if f"`{script}`" in section
               and "older copy" not in section and option.startswith(("`-", "`data", "`output"))}  # fmt: skip
    assert len(options) == OPTIONS[script]


@pytest.mark.parametrize(
    "key", ["evaluate.widths", "projections[].dims", "corpora.<name>.pathh", "predictors.kmeans.top.x"]
)
def test_wrong_keys_are_seen(key):
    assert not exists(key)
