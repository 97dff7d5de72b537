from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from dataclasses import asdict, replace
from itertools import product

import pytest
import torch
from safetensors.torch import save_file

from sparse_attention.errors import InputError
from sparse_attention.projections.model import Projections, check_projections, load_projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.shape import AttentionShape

HEADS, HEAD_DIM, DIM, HIDDEN = 3, 5, 2, 4
LINEAR = ProjectionSetting("linear", DIM, True)
MLP = ProjectionSetting("mlp", DIM, True, HIDDEN)
CONCAT = ProjectionSetting("linear", DIM, True, concat=True)


def draw(setting: ProjectionSetting, seed: int = 0) -> dict:
    return initial_weights(setting, HEADS, HEAD_DIM, torch.Generator().manual_seed(seed))


def make(setting: ProjectionSetting, layers: int = 2) -> Projections:
    sides = [(draw(setting, 2 * layer), draw(setting, 2 * layer + 1)) for layer in range(layers)]
    pairs = [(q, q if setting.shared else k) for q, k in sides]
    return Projections.of(pairs, block_size=setting.block_size, concat=setting.concat)


def settings() -> list[ProjectionSetting]:
    return [
        LINEAR, MLP, ProjectionSetting("linear", DIM, False), ProjectionSetting("mlp", DIM, False, HIDDEN), CONCAT,
        ProjectionSetting("mlp", DIM, True, HIDDEN, 4, True), ProjectionSetting("linear", DIM, False, block_size=3),
    ]  # fmt: skip


def name_of(setting: ProjectionSetting) -> str:
    sharing = "concat" if setting.concat else "shared" if setting.shared else "separate"
    return f"{setting.kind}-{sharing}-{setting.block_size}"


def test_linear_projects_each_head_with_its_own_weights():
    projections = make(ProjectionSetting("linear", DIM, False))
    queries, keys = torch.randn(HEADS, 7, HEAD_DIM), torch.randn(HEADS, 4, HEAD_DIM)
    low_queries, low_keys = projections.project(1, queries, keys)
    assert low_queries.shape == (HEADS, 7, DIM) and low_keys.shape == (HEADS, 4, DIM)
    for head in range(HEADS):
        for vectors, low, weights in ((queries, low_queries, 0), (keys, low_keys, 1)):
            layer = torch.nn.Linear(HEAD_DIM, DIM)
            layer.weight.data = projections.layers[1][weights]["w"][head].T
            layer.bias.data = projections.layers[1][weights]["b"][head, 0]
            torch.testing.assert_close(low[head], layer(vectors[head]), check_dtype=True)


def test_mlp_is_a_tanh_layer_between_two_linear_ones():
    projections = make(MLP)
    weights, vectors = projections.layers[0][0], torch.randn(HEADS, 6, HEAD_DIM)
    low, _ = projections.project(0, vectors, vectors)
    for head in range(HEADS):
        hidden = torch.tanh(vectors[head] @ weights["w1"][head] + weights["b1"][head])
        torch.testing.assert_close(low[head], hidden @ weights["w2"][head] + weights["b2"][head])


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_one_map_of_query_and_key_stands_for_both(kind):
    projections = make(ProjectionSetting(kind, DIM, True, HIDDEN if kind == "mlp" else None, concat=True))
    queries, keys = torch.randn(2, HEADS, 4, HEAD_DIM), torch.randn(2, HEADS, 4, HEAD_DIM)
    low_queries, low_keys = projections.project(1, queries, keys)
    assert torch.equal(low_queries, low_keys) and low_queries.shape == (2, HEADS, 4, DIM)
    weights = projections.layers[1][0]
    for example, head, i in product(range(2), range(HEADS), range(4)):
        both = torch.tensor([*queries[example, head, i].tolist(), *keys[example, head, i].tolist()])
        for step in ("",) if kind == "linear" else ("1", "2"):
            both = both @ weights[f"w{step}"][head] + weights[f"b{step}"][head, 0]
            both = both.tanh() if step == "1" else both
        torch.testing.assert_close(low_queries[example, head, i], both)


def test_one_map_of_query_and_key_needs_as_many_of_both():
    with pytest.raises(InputError, match=r"projections\.concat: true, but example 0 has 4 queries and 3 keys"):
        make(CONCAT).project(0, torch.randn(HEADS, 4, HEAD_DIM), torch.randn(HEADS, 3, HEAD_DIM))


COSTS = {
    LINEAR: HEAD_DIM * DIM,
    MLP: HEAD_DIM * HIDDEN + HIDDEN * DIM,
    CONCAT: HEAD_DIM * DIM,  # 2 · HEAD_DIM · DIM for a position, which is two vectors
    ProjectionSetting("linear", DIM, False, block_size=4): HEAD_DIM * DIM,
}


@pytest.mark.parametrize("setting", COSTS, ids=name_of)
def test_cost_of_a_vector(setting):
    assert make(setting).cost == COSTS[setting]
    assert Projections.identity().cost == 0


@pytest.mark.parametrize("nothing", [None, [], ""], ids=["none", "empty list", "empty string"])
def test_no_file_is_the_identity(nothing):
    queries, keys = torch.randn(HEADS, 3, HEAD_DIM), torch.randn(HEADS, 2, HEAD_DIM)
    low_queries, low_keys = load_projections(nothing).project(0, queries, keys)
    assert low_queries is queries and low_keys is keys


@pytest.mark.parametrize(("setting", "widths"), [(LINEAR, [64]), (MLP, [64, 16])], ids=["linear", "mlp"])
def test_initial_weights_fill_the_range_of_one_heads_fan_in(setting, widths):
    setting = ProjectionSetting(setting.kind, 4, True, 16 if setting.hidden else None)
    weights = list(initial_weights(setting, 40, 64, torch.Generator().manual_seed(0)).values())
    for fan_in, w, b in zip(widths, weights[::2], weights[1::2], strict=True):
        bound = fan_in**-0.5
        assert 0.99 * bound < w.abs().max() <= bound and 0.9 * bound < b.abs().max() <= bound


@pytest.mark.parametrize("setting", settings(), ids=name_of)
def test_both_formats_give_back_the_same_bytes_and_setting(tmp_path, setting):
    projections = make(setting)
    assert projections.setting == setting
    projections.save(tmp_path / "p.safetensors", tmp_path / "p.json", {"seed": 3})
    projections.save_original(tmp_path / "p.pt")
    for name in ("p.safetensors", "p.pt"):
        loaded = Projections.load(tmp_path / name, setting if name == "p.pt" else None)
        assert loaded.setting == setting and (loaded.heads, loaded.head_dim) == (HEADS, HEAD_DIM)
        assert loaded.tensors().keys() == projections.tensors().keys()
        assert all(torch.equal(loaded.tensors()[name], value) for name, value in projections.tensors().items())
        loaded.save(tmp_path / "again.safetensors")
        loaded.save_original(tmp_path / "again, under another name.pt")
        assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "p.safetensors").read_bytes()
        assert (tmp_path / "again, under another name.pt").read_bytes() == (tmp_path / "p.pt").read_bytes()
    info = json.loads((tmp_path / "p.json").read_text())
    assert {name: info[name] for name in asdict(setting)} == asdict(setting) and info["source"] == {"seed": 3}
    assert info["tensors"].keys() == projections.tensors().keys()


def test_the_original_layout_is_the_one_of_state_dicts(tmp_path):
    make(LINEAR).save_original(tmp_path / "p.pt")
    content = torch.load(tmp_path / "p.pt", weights_only=True)
    assert isinstance(content, list) and len(content) == 2 and set(content[0]) == {"q", "k"}
    assert content[0]["q"]["w"].shape == (HEADS, HEAD_DIM, DIM) and content[0]["q"]["b"].shape == (HEADS, 1, DIM)
    state = OrderedDict((name, torch.nn.Parameter(value)) for name, value in content[0]["q"].items())
    torch.save([{"q": state, "k": state}], tmp_path / "parameters.pickle")
    assert Projections.load(tmp_path / "parameters.pickle").setting == LINEAR


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def states(change=lambda state: state) -> list:
    return [{"q": change(draw(LINEAR)), "k": draw(LINEAR)}]


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def replaced(name, value):
    return lambda state: state | {name: value}


BAD = {
    "something else": ({"weights": torch.ones(2)}, "list over layers"),
    "no layers": ([], "holds no layers"),
    "no k": ([{"q": draw(LINEAR)}], "weights 'k' are missing"),
    "missing tensor": (states(without("b")), r"\['w'\]"),
    "unknown tensor": (states(replaced("scale", torch.ones(1))), "scale"),
    "flat weights": (states(replaced("w", torch.ones(HEAD_DIM, DIM))), "three dimensions"),
    "bias of another size": (states(replaced("b", torch.ones(HEADS, 1, DIM + 1))), "allowed: {'w'"),
    "NaN": (states(replaced("w", torch.full((HEADS, HEAD_DIM, DIM), torch.nan))), "NaN"),
    "whole numbers": (states(replaced("w", torch.ones(HEADS, HEAD_DIM, DIM, dtype=torch.int64))), "floating-point"),
    "not a tensor": (states(replaced("w", 1.0)), "q.w"),
    "layers that differ": ([*states(), {"q": draw(MLP), "k": draw(MLP)}], "layer 1"),
    "more than tensors": ([Evil()], "allowed: tensors, numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_original_files_are_refused_with_their_name(tmp_path, name, capsys):
    content, message = BAD[name]
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=message) as caught:
        Projections.load(tmp_path / "bad.pt")
    assert "bad.pt" in str(caught.value) and "executed" not in capsys.readouterr().out


def test_damaged_files_are_refused(tmp_path):
    make(LINEAR).save(tmp_path / "p.safetensors")
    make(LINEAR).save_original(tmp_path / "p.pt")
    for name in ("p.safetensors", "p.pt"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut {name}").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="cut "):
            Projections.load(tmp_path / f"cut {name}")
    (tmp_path / "text.pt").write_text("hello world")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "plain.pickle").write_bytes(pickle.dumps(states()))
    for name in ("text.pt", "empty.pt", "plain.pickle", "missing.pt"):
        with pytest.raises(InputError, match=name):
            Projections.load(tmp_path / name)


@pytest.mark.parametrize(
    "names", [["w"], ["layer~0.queries.w", "layer~0.queries.b"], ["layer~1.both.w", "layer~1.both.b"]], ids=str
)
def test_safetensors_with_other_names_are_refused(tmp_path, names):
    save_file({name: torch.ones(HEADS, 1, DIM) for name in names}, tmp_path / "p.safetensors")
    with pytest.raises(InputError, match="p.safetensors"):
        Projections.load(tmp_path / "p.safetensors")


def test_projections_of_another_model_or_setting_are_refused_with_every_difference():
    shape = AttentionShape(2, HEADS, HEAD_DIM)
    check_projections(make(LINEAR), LINEAR, shape, "p.pt")
    wrong = ProjectionSetting("linear", DIM + 1, False)
    with pytest.raises(InputError) as caught:
        check_projections(make(LINEAR), wrong, AttentionShape(6, 1, HEAD_DIM, where="the model in m"), "p.pt")
    for part in (
        "p.pt",
        "layers is 2, must be 6; heads is 3, must be 1, as in the model in m;",
        "dim is 2, must be 3",
        "shared is True",
    ):
        assert part in str(caught.value)
    with pytest.raises(InputError, match="kind is mlp, must be linear"):
        check_projections(make(MLP), LINEAR, shape, "p.pt")


def shape_of(head_dim: int = HEAD_DIM, key_lengths: tuple[int, ...] = (4, 7)) -> AttentionShape:
    return AttentionShape(2, HEADS, head_dim, (4, 7), key_lengths)


@pytest.mark.parametrize("setting", settings(), ids=name_of)
def test_an_original_file_fits_its_setting(tmp_path, setting):
    make(setting).save_original(tmp_path / "p.pt")
    check_projections(Projections.load(tmp_path / "p.pt", setting), setting, shape_of(), "p.pt")


def test_joint_and_separate_projections_are_told_apart_by_their_inputs(tmp_path):
    even, joint = ProjectionSetting("linear", DIM, True), ProjectionSetting("linear", DIM, True, concat=True)
    for name, setting in (("apart", even), ("joint", joint)):
        weights = initial_weights(setting, HEADS, 6, torch.Generator())
        Projections.of([(weights, weights)] * 2, concat=setting.concat).save_original(tmp_path / f"{name}.pt")
    shape = shape_of(head_dim=6)
    with pytest.raises(InputError, match=r"head_dim is 12, must be 6, .* together \(projections.concat: true\)"):
        check_projections(Projections.load(tmp_path / "joint.pt", even), even, shape, "joint.pt")
    with pytest.raises(InputError, match=r"head_dim is 3, must be 6, .* apart \(projections.concat: false\)"):
        check_projections(Projections.load(tmp_path / "apart.pt", joint), joint, shape, "apart.pt")


def test_joint_projections_refuse_queries_without_keys():
    shape = shape_of(key_lengths=(4, 9))
    with pytest.raises(InputError, match="concat: true, but example 1 has 7 queries and 9 keys"):
        check_projections(make(CONCAT), CONCAT, shape, "p.pt")


@pytest.mark.parametrize("change", [{"block_size": 2}, {"concat": True}], ids=["block size", "concat"])
def test_what_our_file_says_of_its_form_must_be_the_setting(tmp_path, change):
    other = replace(LINEAR, **change)
    make(other).save(tmp_path / "p.safetensors")
    (name,) = change
    with pytest.raises(InputError, match=f"projections.{name} is {change[name]}, must be"):
        check_projections(Projections.load(tmp_path / "p.safetensors", LINEAR), LINEAR, shape_of(), "p.safetensors")


@pytest.mark.parametrize(
    "text", ["{", "3", "{}", '{"block_size": 0, "concat": false}', '{"block_size": 2, "concat": 1}'], ids=str
)
def test_metadata_that_says_something_else_is_refused(tmp_path, text):
    save_file(make(LINEAR).tensors(), tmp_path / "p.safetensors", {"setting": text})
    with pytest.raises(InputError, match=r"p\.safetensors: .*block_size"):
        Projections.load(tmp_path / "p.safetensors")


def test_a_file_without_metadata_projects_tokens_apart_or_as_it_is_told(tmp_path):
    save_file(make(LINEAR).tensors(), tmp_path / "p.safetensors")
    assert Projections.load(tmp_path / "p.safetensors").setting == LINEAR
    blocks = replace(LINEAR, block_size=4)
    assert Projections.load(tmp_path / "p.safetensors", blocks).setting == blocks


def test_weights_that_cannot_take_both_are_refused():
    odd = draw(LINEAR)
    with pytest.raises(InputError, match=r"5 inputs, shared True; .* an even number of inputs"):
        Projections.of([(odd, odd)], concat=True)
    apart = [draw(CONCAT, seed) for seed in (0, 1)]
    with pytest.raises(InputError, match=r"10 inputs, shared False; .* the same weights"):
        Projections.of([(apart[0], apart[1])], concat=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"kind": "mlp", "dim": 2, "shared": True}, "hidden"),
        ({"kind": "none", "dim": 2, "shared": True}, "kind"),
        ({"kind": "linear", "dim": 2, "shared": False, "concat": True}, "projections.shared: false"),
    ],
    ids=["mlp without hidden", "none", "concat without shared"],
)
def test_settings_that_say_too_little_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        ProjectionSetting.of(setting)


def test_settings_may_come_as_the_text_of_a_path():
    texts = {"kind": "linear", "dim": "4", "shared": "false"}
    assert ProjectionSetting.of(texts) == ProjectionSetting("linear", 4, False)
    texts |= {"shared": "true", "block_size": "8", "concat": "true"}
    assert ProjectionSetting.of(texts) == ProjectionSetting("linear", 4, True, None, 8, True)
