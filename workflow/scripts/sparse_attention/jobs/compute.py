"""Seeds, numeric threads and the device of a job."""

from __future__ import annotations

import random

from sparse_attention.errors import InputError


def set_seed(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def set_threads(threads: int) -> None:
    """Fix the numeric threads of torch and of the BLAS and OpenMP pools behind numpy and scikit-learn."""
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def resolve_device(device: str) -> str:
    """Turn `auto` into the best device there is; raise `InputError` when the one asked for is missing."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.split(":")[0], False):
        raise InputError(f"device: {device!r} is not available on this machine; use auto or cpu")
    return device
