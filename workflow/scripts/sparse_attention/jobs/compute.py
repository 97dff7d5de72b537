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
    """Set the number of threads of torch and of the BLAS and OpenMP pools that numpy and scikit-learn use."""
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def resolve_device(device: str) -> str:
    """Return the device, for `auto` cuda if available, else cpu; raise `InputError` when it is not available."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.split(":")[0], False):
        raise InputError(f"device: {device!r} is not available on this machine; allowed: auto, cpu")
    return device
