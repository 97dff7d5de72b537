"""Errors name the file whose value counts."""

from __future__ import annotations

import pytest
from snakemake.utils import update_config

from sparse_attention.errors import InputError
from sparse_attention.settings.origins import Origins, key_of, read_origins

BASE = {"a": {"x": 1, "y": 2}, "m": {"one": {"p": 1}}, "l": [1, 2], "s": 1}


def origins(*overlays):
    return Origins(("base", BASE), [(f"overlay{n}", content) for n, content in enumerate(overlays)])


@pytest.mark.parametrize(
    ("overlays", "key", "origin"),
    [
        ([], ("a", "x"), "base"),
        ([{"a": {"x": 3}}], ("a", "x"), "overlay0"),
        ([{"a": {"x": 3}}], ("a", "y"), "base"),
        ([{"a": {"x": 3}}, {"a": {"x": 1}}], ("a", "x"), "overlay1"),
        ([{"a": {"x": 3}}, {"a": {"y": 1}}], ("a", "x"), "overlay0"),
        # a mapping is blamed on who touched it last
        ([{"a": {"x": 3}}], ("a",), "overlay0"),
        # a list is replaced whole, an item of it has no origin of its own
        ([{"l": [1]}], ("l", 1), "overlay0"),
        ([], ("l", 1), "base"),
        # what stands below a value that replaced a mapping
        ([{"m": None}], ("m", "one", "p"), "overlay0"),
        ([{"m": {"one": 5}}], ("m", "one"), "overlay0"),
        ([{"s": {"t": 1}}], ("s", "t"), "overlay0"),
        # Snakemake merges the overlays first: the null is gone before it meets the base
        ([{"m": None}, {"m": {"two": 1}}], ("m", "one", "p"), "base"),
        ([], ("nowhere",), ""),
    ],
)
def test_the_file_whose_value_counts_is_found(overlays, key, origin):
    assert origins(*overlays).of(key) == origin


@pytest.mark.parametrize(
    ("overlays", "key", "origin"),
    [
        ([{"a": {"z": {}}}], ("a", "z", "new"), "overlay0"),
        ([{"a": {"x": 3}}], ("a", "new"), "base"),
        ([{"n": {}}, {"n": {"o": 1}}], ("n", "new"), "overlay0"),
        ([{"l": [{"p": 1}]}], ("l", 0, "new"), "overlay0"),
        ([{"a": {"x": 3}}], ("new",), "base"),
    ],
)
def test_for_a_missing_key_the_file_that_first_sets_the_mapping_is_named(overlays, key, origin):
    assert origins(*overlays).of(key, missing=True) == origin


@pytest.mark.parametrize(
    "overlays",
    [
        [{"a": {"x": 5}}, {"a": {"y": {"deep": 1}}}, {"a": {"y": {"deeper": 2}}}],
        [{"m": None}, {"m": {"two": 2}}],
        [{"m": {"one": 7}}, {"m": {"one": {"q": 1}}}, {"l": {"now": "a mapping"}}],
        [{"s": {"t": 1}}, {"s": None}, {"l": []}],
        [{"a": {}}, {"n": {"o": {}}}],
    ],
)
def test_the_named_file_has_the_value_that_snakemake_uses(overlays):
    marked = [_marked(content, n) for n, content in enumerate([BASE, *overlays])]
    config, above = {}, {}
    update_config(config, marked[0])
    for content in marked[1:]:
        update_config(above, content)
    update_config(config, above)
    found = Origins(("0", marked[0]), [(str(n), content) for n, content in enumerate(marked[1:], 1)])
    leaves = list(_leaves(config))
    assert leaves
    assert [found.of(key) for key, _ in leaves] == [origin for _, origin in leaves]


def _marked(content, n):
    """Put the number of the layer in place of each value."""
    return {key: _marked(value, n) if isinstance(value, dict) else str(n) for key, value in content.items()}


def _leaves(config, key=()):
    for name, value in config.items():
        if not isinstance(value, dict):
            yield (*key, name), value
        else:
            yield from _leaves(value, (*key, name))


def test_files_are_read_strictly_and_all_mistakes_reported_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("a: 1\n")
    (tmp_path / "one.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "two.yaml").write_text("on: 1\n")
    with pytest.raises(InputError) as caught:
        read_origins([tmp_path / "base.yaml", tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  one.yaml, lines 1 and 2", "  two.yaml, line 1",
    ]  # fmt: skip
    (tmp_path / "one.yaml").write_text("b: 2\n")
    files = [tmp_path / "base.yaml", tmp_path / "one.yaml"]
    assert [read_origins(files).of((key,)) for key in "ab"] == ["base.yaml", "one.yaml"]
    assert [read_origins(files, replaced=True).of((key,)) for key in "ab"] == ["", "one.yaml"]


def test_of_another_workflows_file_only_the_key_of_this_one_is_read(tmp_path):
    file = tmp_path / "other.yaml"
    file.write_text("begin: 2024-01-01\nsamples: {1: a.fastq}\nsparsity: {seeds: [1]}\n")
    assert read_origins([file], key=("sparsity",)).of(("seeds",)) == str(file)
    file.write_text("begin: 2024-01-01\nsparsity: {seeds: 010}\n")
    with pytest.raises(InputError) as error:
        read_origins([file], key=("sparsity",))
    assert "sparsity.seeds: YAML reads 010 as 8" in str(error.value) and "begin" not in str(error.value)
    assert read_origins([file], key=None) == Origins()


def test_the_key_of_a_module_is_found():
    own = {"seeds": [1]}
    assert key_of(own, own) == ()
    assert key_of(own, {"seeds": [1], "a": {"b": own}}) == ("a", "b")
    assert key_of(own, {"a": {"seeds": [1]}}) is None
