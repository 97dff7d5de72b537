"""The kernel is compiled once, for this processor, and attention works where it cannot be."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import shutil
from pathlib import Path

import pytest
import torch

from sparse_attention.block_sparse.cpu import build, nearest
from sparse_attention.block_sparse.cpu.call import CPUAttention
from sparse_attention.block_sparse.dispatch import attend, kernel_for, use_kernels
from sparse_attention.block_sparse.visible import Visible

COMPILER = build.find_compiler()
NEEDS_COMPILER = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Look for the compiler and the kernel anew, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@pytest.fixture
def messages(caplog):
    """Return a function that gives the library's messages so far."""
    caplog.set_level(logging.INFO, build.logger.name)
    return lambda: caplog.text


def script(folder: Path, text: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def small():
    return torch.randn(3, 1, 2, 20, 8, generator=torch.Generator().manual_seed(0))


@NEEDS_COMPILER
def test_a_build_is_kept_and_named_by_its_target(tmp_path):
    first = build.compiled(COMPILER)
    written = first.stat().st_mtime_ns
    assert build.compiled(COMPILER) == first and first.stat().st_mtime_ns == written
    assert build.compiled(COMPILER, ("-O1",)) != first
    assert (
        sorted(path.suffix for path in (tmp_path / "cache/sparse_attention").iterdir()) == [".lock"] * 2 + [".so"] * 2
    )
    assert use_kernels("auto")["compiler"] and kernel_for("cpu", torch.float32) == "cpu"


@NEEDS_COMPILER
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 processor")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])
def test_narrower_vectors_give_the_same(level, monkeypatch):
    if level == "x86-64-v3" and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("needs AVX2")
    narrow = ctypes.CDLL(str(build.compiled(COMPILER, (f"-march={level}",))))
    visible = Visible.everything(1, 20, 20, causal=True)
    for alpha in (1.0, 1.5, 1.7):
        results = []
        for library in (narrow, build.library()):
            given = [tensor.clone().requires_grad_() for tensor in small()]
            output, thresholds = CPUAttention.apply(library, *given, visible, None, alpha, 0.3)
            output.square().sum().backward()
            results.append([output.detach(), thresholds, *(tensor.grad for tensor in given)])
        for mine, other in zip(*results, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5, msg=f"alpha {alpha}")
    vectors, centroids = small()[0, 0], small()[1, 0].double()[:, None]
    found = [nearest.nearest_centroids(vectors, centroids, 3), nearest.nearest_directions(small()[0])]
    monkeypatch.setattr(nearest, "library", lambda: narrow)
    assert torch.equal(nearest.nearest_centroids(vectors, centroids, 3), found[0])
    assert torch.equal(nearest.nearest_directions(small()[0]), found[1])


def test_without_a_compiler_the_reference_computes_and_one_line_says_so(monkeypatch, messages):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert use_kernels("auto") == {"kernel": "reference"}
    for _ in range(2):
        assert attend(*small()).output.shape == (1, 2, 20, 8)
    assert messages().count("no C++ compiler is found") == 1


def test_a_compiler_that_fails_is_quoted_once(monkeypatch, tmp_path, messages):
    monkeypatch.setenv("CXX", script(tmp_path, "echo 'unknown target' >&2; exit 1"))
    assert kernel_for("cpu", torch.float32) == kernel_for("cpu", torch.float32) == "reference"
    assert messages().count("unknown target") == 1


@NEEDS_COMPILER
def test_a_missing_header_of_the_c_library_is_named_in_one_line(monkeypatch, tmp_path, messages):
    monkeypatch.setenv("CXX", script(tmp_path, f'exec {COMPILER} --sysroot=/nonexistent -nostdinc++ "$@"'))
    assert kernel_for("cpu", torch.float32) == "reference"
    (line,) = [line for line in messages().splitlines() if "cannot be compiled" in line]
    assert "error:" in line and ("No such file" in line or "not found" in line)


@NEEDS_COMPILER
def test_a_compiler_without_openmp_is_enough(monkeypatch, tmp_path):
    refuse = 'for flag in "$@"; do [ "$flag" = -fopenmp ] && exit 1; done\n'
    monkeypatch.setenv("CXX", script(tmp_path, f'{refuse}exec {COMPILER} "$@"'))
    assert kernel_for("cpu", torch.float32) == "cpu"
    plain = attend(*small(), kernels="reference").output
    torch.testing.assert_close(attend(*small()).output, plain, rtol=0, atol=1e-6)


@NEEDS_COMPILER
def test_a_cache_that_cannot_be_written_is_replaced(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file")
    path = build.compiled(COMPILER)
    assert path.exists() and tmp_path not in path.parents
    shutil.rmtree(path.parent)


@NEEDS_COMPILER
def test_a_build_that_was_killed_is_made_anew(tmp_path):
    path = build.compiled(COMPILER)
    path.rename(path.with_suffix(f".{os.getpid()}.partial"))
    (path.parent / f"{path.stem}.lock").write_text("left behind")
    assert build.compiled(COMPILER) == path and path.exists()
