"""Predictors are found by reading their source."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from sparse_attention.errors import InputError
from sparse_attention.predictors import registry
from sparse_attention.predictors.base import Context, NestedPredictor, Predictor
from sparse_attention.predictors.registry import create, discover

ROOT = Path(__file__).parents[3]
NAMES = [
    "bigbird", "calibrated", "cos", "direction", "dynamic", "entmax", "euclidean", "fixed", "gate", "gaussian_pages",
    "hash_attention", "indexer", "kmeans", "l2", "longformer", "min", "min_norm", "minkowski", "oracle", "pca", "quest",
    "random", "reformer", "routing", "routing_kmeans", "routing_trained", "simhash", "sparq", "strided", "window",
    "xattention",
]  # fmt: skip


def test_discovers_all_in_alphabetical_order():
    assert list(discover()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_is_what_the_class_says(name):
    info = discover()[name]
    centroids = object()
    predictor = create(name, Context(centroids=centroids))
    assert isinstance(predictor, Predictor)
    assert type(predictor).__name__ == info.class_name
    for field in registry.LITERALS:
        assert getattr(predictor, field) == getattr(info, field), field
    assert info.label
    assert set(info.fitted) <= set(info.parameters)
    assert not info.nested or info.nested in info.parameters
    assert bool(info.nested) == isinstance(predictor, NestedPredictor)


def test_one_paper_is_cited_in_one_way():
    cited = {info.paper for info in discover().values() if info.paper}
    numbers = [re.search(r"arXiv:(\d{4}\.\d{5})$", paper) for paper in cited]
    assert all(numbers) and len({number[1] for number in numbers}) == len(cited) > 10


def test_a_papers_number_is_told_in_the_methods_too():
    methods = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    numbers = {name: info.paper.rpartition(":")[2] for name, info in discover().items() if info.paper}
    assert [name for name, number in numbers.items() if number not in methods] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_default_grids_pass_the_schemas(name):
    grid = yaml.safe_load((ROOT / "config/config.yaml").read_text())["predictors"][name]
    schemas = discover()[name].parameters
    if grid is None:  # switched off
        return
    assert set(grid) == set(schemas)
    for key, values in grid.items():
        jsonschema.Draft202012Validator.check_schema(schemas[key])
        for value in values if isinstance(values, list) else [values]:
            jsonschema.validate(value, schemas[key])


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("cos", "threshold", 0), ("cos", "threshold", 2.5), ("l2", "threshold", -1), ("window", "width", 4),
     ("random", "sparsity", 1.1), ("oracle", "keys", 0), ("oracle", "keys", 1.5),
     ("kmeans", "clusters", 1), ("fixed", "bucket_size", 0), ("dynamic", "temperature", 0)],
)  # fmt: skip
def test_the_schemas_refuse(name, key, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, discover()[name].parameters[key])


def test_discovery_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; from sparse_attention.predictors.registry import discover; discover()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(registry.__file__).parents[2])


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"predictors\.cosine: no such predictor; allowed: bigbird, calibrated, cos"):
        create("cosine", Context())


CLASS = "class A(Predictor):\n    name = 'a'\n"


def test_a_new_file_is_a_new_predictor(tmp_path):
    (tmp_path / "mine.py").write_text(CLASS + "    needs: tuple = ('projection',)\n\nclass Helper:\n    size = 3\n")
    found = discover(tmp_path)
    assert list(found) == ["a"]
    assert (found["a"].module, found["a"].class_name, found["a"].needs) == ("mine", "A", ("projection",))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class A(:\n", r"mine\.py:1: not valid Python"),
        (CLASS + "    needs = tuple('x')\n", r"mine\.py:3: A\.needs must be a literal"),
        (
            CLASS + "    group = 'Guesses'\n",
            r"mine\.py: A\.group: 'Guesses'; allowed: Patterns that ignore .*, or empty",
        ),
        (CLASS + CLASS.replace("A", "B"), r"mine\.py: the name 'a' is already that of a class in mine\.py"),
    ],
    ids=["syntax", "computed", "unknown group", "twice"],
)
def test_what_cannot_be_read_is_told_with_its_place(source, message, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(InputError, match=message):
        discover(tmp_path)
