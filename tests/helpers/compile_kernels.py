"""Compiles the Triton kernels of attention over block lists for a GPU that need not be there, and names them.

The interpreter, which other tests use, takes code that Triton's compiler refuses. Run without TRITON_INTERPRET.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.triton.call import attend_by_triton
from sparse_attention.block_sparse.visible import Visible

CAPABILITY = 80
MOST_SHARED = 99 * 1024
"""Bytes of shared memory that a block of threads can have on every GPU from compute capability 8.0 on."""
TYPES = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int32: "*i32", torch.int8: "*i8"}


def compile_only(kernel: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
    """Compile a kernel where it would be started."""
    started = {name: options.pop(name) for name in ("num_warps", "num_stages")}
    values = dict(zip(kernel.arg_names, arguments, strict=False)) | options
    constants = {(p.num,): values[p.name] for p in kernel.params if p.is_constexpr}
    signature = {p.name: "constexpr" if p.is_constexpr else type_of(values[p.name]) for p in kernel.params}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", CAPABILITY, 32), options=started)
    assert compiled.metadata.shared <= MOST_SHARED, f"{kernel.__name__}: {compiled.metadata.shared} bytes"
    print(kernel.__name__, flush=True)


def type_of(value: Any) -> str:
    """Return Triton's name of the type of an argument."""
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"


JITFunction.run = compile_only
lists = BlockLists.of(torch.ones(1, 1, 1, 1, dtype=torch.bool), 64, 64, 64, 64)
leaves = [torch.zeros(1, 1, 64, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
visible = Visible.everything(1, 64, 64, causal=True)
output, _ = attend_by_triton(*leaves, visible, lists, 1.5, 0.125)
output.backward(output.detach())
with torch.no_grad():
    attend_by_triton(*leaves, visible, lists, 1.0, 0.125)
