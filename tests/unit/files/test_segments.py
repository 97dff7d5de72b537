"""Every setting is written as one path segment and read back from it."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from snakemake.utils import update_config

from sparse_attention.errors import InputError
from sparse_attention.files.segments import alpha_of, block_size_of, pairs, parse_segment, segment, without
from sparse_attention.settings import grids

ROOT = Path(__file__).parents[3]
OVERLAYS = ["config/config.yaml", "config/paper.yaml", "config/study.yaml", "tests/config/tiny.yaml"]
OVERLAYS += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "config/grids").glob("*.yaml"))

WRITTEN = {
    "true": ({"shared": True}, "shared~true"),
    "false": ({"shared": False}, "shared~false"),
    "a whole number": ({"dim": 4}, "dim~4"),
    "a negative number": ({"offset": -3}, "offset~-3"),
    "a number without a fraction": ({"temperature": 1.0}, "temperature~1"),
    "a small number": ({"threshold": 1e-05}, "threshold~1e-05"),
    "a large number": ({"threshold": 1e22}, "threshold~1e+22"),
    "many digits": ({"final": 0.123456789}, "final~0.123456789"),
    "infinity": ({"p": math.inf}, "p~inf"),
    "nothing": ({"target": None}, "target~None"),
    "no text": ({"score": "", "dim": 4}, "score~_dim~4"),
    "a hyphen and a dot": ({"model": "all-minilm-l6.v2"}, "model~all-minilm-l6.v2"),
    "text like a number": ({"name": "1_000"}, "name~1__000"),
    "a list": ({"threshold": [0.1, 0.25]}, "threshold~0.1,0.25"),
    "a list of words": ({"names": ["a_b", "c"]}, "names~a__b,c"),
    "a key of two words": ({"kind": "none", "block_size": 4}, "kind~none_block_size~4"),
    "zero_based": ({"ramp": "zero_based", "final": 0.1}, "ramp~zero_based_final~0.1"),
    "one_based": ({"ramp": "one_based"}, "ramp~one_based"),
    "as_published": ({"variant": "as_published", "ramp": "one_based"}, "variant~as_published_ramp~one_based"),
    "min_norm": ({"distance": "min_norm", "sparsity": 0.7}, "distance~min_norm_sparsity~0.7"),
    "another underscore": ({"score": "of_both", "final": 0.1}, "score~of__both_final~0.1"),
    "underscores at both ends": ({"score": "_a_", "final": 0.1}, "score~__a___final~0.1"),
    "a known word that goes on": ({"ramp": "zero_based_", "final": 1}, "ramp~zero__based___final~1"),
    "a known word that is cut": ({"ramp": "zero", "based": 1}, "ramp~zero_based~1"),
}
REFUSED = {
    "a tilde": {"score": "a~b"},
    "a key within": {"score": "mean_final~2"},
    "a slash": {"model": "microsoft/codebert"},
    "a brace": {"model": "{seed}"},
    "a line break": {"score": "a\n"},
    "text that is a number": {"score": "0.5"},
    "text that is true": {"score": "true"},
    "text that is None": {"score": "None"},
    "text that is a list": {"score": "a,b"},
    "not a number": {"final": math.nan},
    "an empty list": {"threshold": []},
    "a list within a list": {"threshold": [[1, 2], 3]},
    "a mapping": {"threshold": {"a": 1}},
    "an upper-case key": {"Dim": 4},
    "a key that ends with an underscore": {"dim_": 4},
    "a key with two underscores": {"block__size": 4},
    "a key that goes on with a known word": {"ramp": "zero", "based_final": 1},
}


@pytest.mark.parametrize(("setting", "text"), WRITTEN.values(), ids=list(WRITTEN))
def test_a_setting_is_written_and_read_back(setting, text):
    assert segment(setting) == text
    found = parse_segment(text)
    assert found == setting
    assert list(found) == list(setting)
    assert [isinstance(value, bool) for value in found.values()] == [isinstance(v, bool) for v in setting.values()]


def test_a_list_of_one_value_is_read_back_as_the_value():
    assert parse_segment(segment({"threshold": [0.1]})) == {"threshold": 0.1}


@pytest.mark.parametrize("setting", REFUSED.values(), ids=list(REFUSED))
def test_a_setting_that_could_not_be_read_back_is_refused(setting):
    with pytest.raises(InputError, match="cannot be (written in|read back from) a path; allowed: "):
        segment(setting)


KEYS = st.from_regex(r"[a-z][a-z0-9]{0,3}(_[a-z0-9]{1,3}){0,2}", fullmatch=True)
TEXTS = st.text("abz_-.+,:~/{ 10Né", max_size=12)
ITEMS = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.none()
VALUES = ITEMS | st.sampled_from(["zero_based", "one_based", "as_published", "min_norm"]) | st.lists(ITEMS, min_size=2)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_setting_that_is_not_refused_is_read_back(setting):
    try:
        text = segment(setting)
    except InputError:
        # one setting that is refused must not hide the others
        assume(len(setting) == 1)
        (value,) = setting.values()
        assert isinstance(value, str | list)
    else:
        assert parse_segment(text) == setting
        assert not set("/{}\n") & set(text)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), st.data())
def test_removing_a_key_gives_the_segment_of_the_setting_without_it(setting, data):
    try:
        text = segment(setting)
    except InputError:
        assume(False)
    key = data.draw(st.sampled_from(list(setting)))
    rest = {name: value for name, value in setting.items() if name != key}
    assert without(text, key) == segment(rest)


def segments_of(overlay):
    """Return every setting that a configuration names in paths or tables, by what it is written as."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, copy.deepcopy(yaml.safe_load((ROOT / overlay).read_text())))
    jobs = grids.predictor_jobs(config)
    found = grids.projections(config) | grids.prunings(config) | {job.point: job.fixed for job in jobs}
    return found | {segment(point): point for job in jobs for point in grids.product(job.grid)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_segments_of_a_configuration_are_read_back(overlay):
    found = segments_of(overlay)
    assert len(found) > 10
    for text, setting in found.items():
        read = parse_segment(text)
        # a pruning's segment leaves out defaults
        assert read == {key: value for key, value in setting.items() if key in read or "mode" not in setting}


@pytest.mark.parametrize("text", ["softmax", "all", "none", ""])
def test_a_name_alone_has_no_settings(text):
    assert parse_segment(text) == {}
    assert pairs(text) == ()
    assert without(text, "dim") == text


@pytest.mark.parametrize("text", ["~4", "dim~4_", "dim~4_~3", "Dim~4", "a~b/c", "dim~4_rest", "dim~4~5"])
def test_a_damaged_segment_is_refused(text):
    with pytest.raises(InputError, match="not a path segment; allowed: key~value, joined by _"):
        parse_segment(text)


def test_block_size_and_alpha_are_read_from_segments():
    assert [block_size_of(name) for name in ("kind~none", "kind~linear_dim~4_block_size~16")] == [1, 16]
    assert [alpha_of(name) for name in ("entmax~1.5", "entmax~2", "softmax")] == [1.5, 2.0, 1.0]
