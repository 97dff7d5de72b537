"""What a user brings is opened in few places, each of which is guarded; nobody opens it beside them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow" / "scripts" / "sparse_attention"
# calls that may run code that lies in what they open, or ask for it, and the one module that may make them
GUARDED = {
    "from_pretrained": {"models/hub.py"},
    "load_dataset": {"data/sources/hub.py"},
    "load_from_disk": set(),
    "torch.load": {"files/tensors.py"},
    "pickle.load": set(),
    "pickle.loads": set(),
    "Unpickler": {"sklearn_pickles.py"},
    "joblib.load": set(),
    "read_pickle": set(),
    "pipeline": set(),
    "from_config": set(),
    "eval": set(),
    "exec": set(),
    "input": set(),
}


@functools.cache
def all_calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Return the calls of a function or method, by its own name or, with a dot, by its end."""
    found = all_calls(tree)
    if "." in name:
        return [call for call in found if ast.unparse(call.func) == name]
    bare = [call for call in found if isinstance(call.func, ast.Name) and call.func.id == name]
    methods = [call for call in found if isinstance(call.func, ast.Attribute) and call.func.attr == name]
    return bare if name in ("eval", "exec", "input", "pipeline") else bare + methods


@functools.cache
def modules() -> dict[str, ast.AST]:
    files = [*ROOT.glob("workflow/scripts/**/*.py"), *ROOT.glob("tools/*.py")]
    names = [file.relative_to(LIBRARY if LIBRARY in file.parents else ROOT).as_posix() for file in files]
    return {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in zip(names, files, strict=True)}


@pytest.mark.parametrize("name", GUARDED)
def test_only_guarded_places_open_what_a_user_brings(name):
    assert {module for module, tree in modules().items() if calls(tree, name)} <= GUARDED[name]


def test_the_search_finds_such_calls():
    tree = ast.parse("import torch\nx = AutoModel.from_pretrained(f)\ntorch.load(f)\nload_from_disk(f)\ninput()\n")
    assert all(calls(tree, name) for name in ("from_pretrained", "torch.load", "load_from_disk", "input"))
    assert calls(modules()["models/hub.py"], "from_pretrained") and calls(modules()["files/tensors.py"], "torch.load")


def test_no_guarded_place_leaves_the_guard_open():
    for call in calls(modules()["models/hub.py"], "from_pretrained"):
        assert any(keyword.arg is None and ast.unparse(keyword.value) == "GUARDED" for keyword in call.keywords)
    for call in calls(modules()["files/tensors.py"], "torch.load"):
        assert "weights_only=True" in ast.unparse(call)
    for module, tree in modules().items():
        given = [keyword for call in all_calls(tree) for keyword in call.keywords if keyword.arg == "trust_remote_code"]
        assert "True" not in [ast.unparse(keyword.value) for keyword in given], module
