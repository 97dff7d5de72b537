"""The kernels for GPUs against the plain reference: on a GPU, or interpreted where there is none."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparse_attention.block_sparse import dispatch
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reference import attend_plainly
from sparse_attention.block_sparse.visible import Visible

attend_by_triton = pytest.importorskip(
    "sparse_attention.block_sparse.triton.call", exc_type=ModuleNotFoundError
).attend_by_triton
QueryWalk = pytest.importorskip("sparse_attention.block_sparse.triton.walks").QueryWalk

HAS_GPU = torch.cuda.is_available()
pytestmark = pytest.mark.gpu if HAS_GPU else []
DEVICE = "cuda" if HAS_GPU else "cpu"
ON_GPU = pytest.mark.skipif(not HAS_GPU, reason="no CUDA device")


def tensors(batch, heads, queries, keys, dim, groups=None, value_dim=None, scale=1.0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(queries + keys)
    shapes = (heads, queries, dim), (groups or heads, keys, dim), (groups or heads, keys, value_dim or dim)
    return [(torch.randn(batch, *shape, generator=draw) * scale).to(DEVICE, dtype) for shape in shapes]


def random_lists(batch, heads, queries, keys, query_block, key_block, share=0.5):
    shape = batch, heads, -(-queries // query_block), -(-keys // key_block)
    blocks = torch.rand(shape, generator=torch.Generator().manual_seed(queries)) < share
    return BlockLists.of(blocks.to(DEVICE), queries, keys, query_block, key_block)


def seen(batch, queries, keys, causal=False, window=None, lengths=None):
    """Return what queries see: all, earlier keys, near ones, or those of sequences of several lengths."""
    mask = torch.ones(batch, 1, queries, keys, dtype=torch.bool, device=DEVICE)
    places = torch.arange(queries, device=DEVICE)[:, None] + keys - queries, torch.arange(keys, device=DEVICE)
    if causal:
        mask = mask & (places[0] >= places[1])
    if window is not None:
        mask = mask & ((places[0] - places[1]).abs() <= window)
    if lengths is not None:
        mask = mask & (places[1] < torch.tensor(lengths, device=DEVICE)[:, None, None, None])
    found = Visible.of_mask(mask)
    assert found is not None
    return found


def check(given, lists, alpha, visible=None, most=1e-5):
    """Compare output, thresholds and gradients with those of the reference in float64."""
    scaling = given[0].shape[-1] ** -0.5
    everything = Visible.everything(len(given[0]), given[0].shape[2], given[1].shape[2], device=DEVICE)
    exact = [tensor.double().requires_grad_() for tensor in given]
    output, thresholds = attend_plainly(*exact, visible or everything, lists, alpha, scaling)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(DEVICE, given[0].dtype)
    (output * weights).sum().backward()
    leaves = [tensor.clone().requires_grad_() for tensor in given]
    found, limits = attend_by_triton(*leaves, visible, lists, alpha, scaling)
    assert found.dtype == given[0].dtype and limits.dtype == torch.float32
    torch.testing.assert_close(found.double(), output, rtol=most, atol=most * float(given[2].abs().max()))
    torch.testing.assert_close(limits.double(), thresholds, rtol=most, atol=most)
    (found * weights).sum().backward()
    for mine, other in zip(leaves, exact, strict=True):
        # where a score is at the threshold, alpha near 2 lets the gradient jump
        far = (mine.grad.double() - other.grad).abs() > 10 * most * (1 + other.grad.abs().max())
        assert far.double().mean() <= (0.02 if alpha > 1.5 else 0)
    with torch.no_grad():
        assert torch.equal(attend_by_triton(*given, visible, lists, alpha, scaling)[0], found)


CASES = {
    "lists": lambda: (tensors(1, 2, 64, 96, 16), random_lists(1, 2, 64, 96, 32, 16)),
    "dense": lambda: (tensors(1, 1, 70, 130, 20), None),
    "causal": lambda: (tensors(1, 1, 130, 130, 8), None, seen(1, 130, 130, causal=True)),
    "causal-lists": lambda: (tensors(2, 1, 50, 50, 8), random_lists(2, 1, 50, 50, 8, 16), seen(2, 50, 50, causal=True)),
    "last-queries": lambda: (tensors(1, 1, 7, 100, 16), None, seen(1, 7, 100, causal=True)),
    "window": lambda: (tensors(1, 1, 90, 90, 8), random_lists(1, 1, 90, 90, 64, 32, 1.0), seen(1, 90, 90, window=9)),
    "ragged": lambda: (tensors(3, 1, 40, 40, 8), random_lists(3, 1, 40, 40, 20, 16),
                       seen(3, 40, 40, lengths=[40, 17, 1])),
    "grouped": lambda: (tensors(1, 4, 40, 40, 8, groups=2), random_lists(1, 4, 40, 40, 32, 32)),
    "grouped-causal": lambda: (tensors(2, 2, 33, 33, 8, groups=1), random_lists(1, 1, 33, 33, 16, 16),
                               seen(2, 33, 33, causal=True)),
    "one-block": lambda: (tensors(1, 1, 10, 10, 4), random_lists(1, 1, 10, 10, 128, 128, 1.0)),
    "one-token": lambda: (tensors(1, 1, 1, 1, 4), None),
    "odd-blocks": lambda: (tensors(1, 1, 75, 111, 8), random_lists(1, 1, 75, 111, 23, 48)),
    "single-queries": lambda: (tensors(1, 1, 9, 70, 8), random_lists(1, 1, 9, 70, 1, 16)),
    "large-blocks": lambda: (tensors(1, 1, 150, 150, 8), random_lists(1, 1, 150, 150, 100, 80)),
    "empty-rows": lambda: (tensors(1, 2, 64, 64, 8), random_lists(1, 2, 64, 64, 8, 16, 0.15)),
    "no-blocks": lambda: (tensors(1, 1, 20, 20, 8), random_lists(1, 1, 20, 20, 16, 16, 0.0)),
    "wide-values": lambda: (tensors(1, 1, 40, 40, 8, value_dim=70), random_lists(1, 1, 40, 40, 16, 16)),
    "wide-heads": lambda: (tensors(1, 1, 20, 20, 130), random_lists(1, 1, 20, 20, 16, 16)),
    "tiny-scores": lambda: (tensors(1, 1, 80, 80, 16, scale=1e-4), random_lists(1, 1, 80, 80, 16, 16)),
    "ties": lambda: ([torch.ones(1, 1, 48, 8, device=DEVICE)] * 3, random_lists(1, 1, 48, 48, 16, 16)),
}  # fmt: skip
HARD = ("lists", "ragged", "empty-rows", "odd-blocks")


@pytest.mark.parametrize(
    ("name", "alpha"),
    [
        *((name, alpha) for name in CASES for alpha in (1.0, 1.5)),
        *((name, a) for name in HARD for a in (1.25, 1.7, 2.0)),
    ],
)
def test_output_and_gradients_are_those_of_the_reference(name, alpha):
    given, lists, *rest = CASES[name]()
    check(given, lists, alpha, *rest)


@pytest.mark.parametrize("alpha", [1.0, 1.25, 1.5, 2.0])
def test_extreme_scores(alpha):
    given = tensors(1, 1, 40, 40, 16, scale=10.0)
    # a float32 score of size s is known to s / 2**24 only
    check(given, random_lists(1, 1, 40, 40, 16, 16), alpha, most=3e-4)


@pytest.mark.parametrize("alpha", [1.01, 1.1, 4 / 3])
def test_entmax_close_to_softmax(alpha):
    check(tensors(1, 1, 30, 50, 8), None, alpha, most=1e-4)


def test_a_query_without_keys_gets_zeros_and_an_infinite_threshold():
    given, lists = CASES["empty-rows"]()
    for alpha in (1.0, 1.5):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        output, thresholds = attend_by_triton(*leaves, None, lists, alpha, 0.3)
        empty = (lists.counts == 0).repeat_interleave(8, -1)
        assert empty.any() and torch.equal(thresholds.isinf(), empty) and (output[empty] == 0).all()
        output.square().sum().backward()
        assert (leaves[0].grad[empty] == 0).all() and all(leaf.grad.isfinite().all() for leaf in leaves)


def test_a_row_does_not_depend_on_hidden_keys():
    given = tensors(2, 1, 40, 40, 8)
    visible = seen(2, 40, 40, lengths=[40, 17])
    before, _ = attend_by_triton(*given, visible, None, 1.5, 0.3)
    given[1][1, :, 17:], given[2][1, :, 17:] = 1e6, -1e6
    assert torch.equal(attend_by_triton(*given, visible, None, 1.5, 0.3)[0], before)


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_half_precision(alpha):
    check(tensors(1, 2, 70, 70, 16, dtype=torch.float16), random_lists(1, 2, 70, 70, 32, 32), alpha, most=4e-3)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_the_walk_of_keys_is_the_transposed_walk_of_queries(causal):
    lists = random_lists(2, 3, 100, 150, 16, 32)
    visible = seen(2, 100, 150, causal=causal)
    walk = QueryWalk.of(lists, visible, 100, 150, torch.device(DEVICE))
    pairs = lists.tokens() & visible.mask()
    size = walk.blocks.shape[:3]
    listed = set()
    for place in ((b, h, i) for b in range(size[0]) for h in range(size[1]) for i in range(size[2])):
        kept = walk.blocks[place][: walk.counts[place]].tolist()
        listed |= {(*place, block) for block in kept}
        for at, block in enumerate(kept):
            inside = pairs[place[0], place[1], 16 * place[2] : 16 * place[2] + 16, 32 * block : 32 * block + 32]
            assert inside.any()
            assert bool(inside.all() and inside.numel() == 16 * 32) == (at >= walk.partial[place])
    other, starts = walk.transposed(5)[0].tolist(), walk.transposed(5)[1].tolist()
    found = set()
    for row in range(size[0] * size[1] * 5):
        b, h, block = row // (size[1] * 5), row // 5 % size[1], row % 5
        mine = other[starts[2 * row] : starts[2 * row + 2]]
        assert mine[: starts[2 * row + 1] - starts[2 * row]] == sorted(
            i for i in mine if block in walk.blocks[b, h, i][: walk.partial[b, h, i]].tolist()
        )
        found |= {(b, h, i, block) for i in mine}
    assert found == listed


def test_the_backward_pass_leaves_out_blocks_without_probability():
    walk = QueryWalk.of(random_lists(1, 1, 64, 96, 16, 16, 1.0), None, 64, 96, torch.device(DEVICE))
    live = torch.zeros_like(walk.blocks)
    live[..., [1, 4]] = 1
    fewer = walk.only(live)
    assert (fewer.counts == 2).all() and fewer.blocks[..., :2].unique().tolist() == [1, 4]
    assert walk.only(live).transposed(6).starts.tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 8, 8, 8]


@pytest.fixture
def messages(caplog):
    """Return a function that gives the library's messages so far, none of which was said before."""
    dispatch._say_once.cache_clear(), dispatch._lacking_for_triton.cache_clear()
    caplog.set_level(logging.INFO, dispatch.logger.name)
    yield lambda: caplog.text
    dispatch._say_once.cache_clear(), dispatch._lacking_for_triton.cache_clear()


def test_a_gpu_gets_the_kernels_or_a_line_that_says_why_not(messages, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    assert dispatch.kernel_for("cuda:0", torch.bfloat16, "auto", 256) == "triton"
    assert dispatch.kernel_for("cuda:0", torch.bfloat16, "reference") == "reference" and not messages()
    assert dispatch.use_kernels("auto", "cuda")["gpu"] == "A GPU"
    for _ in range(2):
        assert dispatch.kernel_for("cuda:0", torch.float32, "auto", 300) == "reference"
        assert dispatch.kernel_for("cuda:0", torch.float64, "auto") == "reference"
    assert messages().count("heads of up to 256 dims, not 300") == 1 and messages().count("float64") == 1
    dispatch._lacking_for_triton.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert dispatch.kernel_for("cuda:0", torch.float32, "auto") == "reference"
    dispatch._lacking_for_triton.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(dispatch, "find_spec", lambda name: None)
    assert dispatch.kernel_for("cuda:0", torch.float32, "auto") == "reference"
    assert "A GPU: the kernels need compute capability 8.0" in messages() and "Triton is not installed" in messages()


def test_attend_calls_the_kernels(monkeypatch):
    monkeypatch.setattr(dispatch, "kernel_for", lambda *given: "triton")
    given, lists = CASES["lists"]()
    expected = attend_by_triton(*given, None, lists, 1.5, 0.25)
    assert all(map(torch.equal, dispatch.attend(*given, lists), expected))


@pytest.mark.slow
def test_the_kernels_compile_for_gpus_and_fit_into_their_memory(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    script = Path(__file__).parents[2] / "helpers" / "compile_kernels.py"
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["_entmax", "_query_gradient", "_key_gradients", "_softmax"]


@ON_GPU
@pytest.mark.parametrize("dim", [64, 128, 256])
@pytest.mark.parametrize("alpha", [1.0, 1.5, 1.7])
def test_bfloat16_on_a_gpu(alpha, dim):
    given, lists = tensors(2, 4, 700, 700, dim, groups=2, dtype=torch.bfloat16), random_lists(2, 4, 700, 700, 64, 64)
    check(given, lists, alpha, seen(2, 700, 700, causal=True), most=3e-2)


@ON_GPU
@pytest.mark.parametrize("dim", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("alpha", [1.0, 1.5, 1.7, 2.0])
def test_float32_on_a_gpu(alpha, dim):
    given, lists = tensors(1, 2, 1000, 1300, dim), random_lists(1, 2, 1000, 1300, 128, 64, 0.2)
    assert dispatch.kernel_for("cuda", torch.float32, "auto", dim) == "triton"
    check(given, lists, alpha, most=1e-4)


@ON_GPU
def test_results_on_a_gpu_are_the_same_every_time():
    given, results = tensors(2, 8, 2048, 2048, 64, dtype=torch.bfloat16), []
    for _ in range(2):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        output = dispatch.attend(*leaves, random_lists(1, 8, 2048, 2048, 64, 64, 0.1)).output
        output.square().sum().backward()
        results.append([output, *(leaf.grad for leaf in leaves)])
    assert all(map(torch.equal, *results)) and math.isfinite(float(results[0][0].float().sum()))
