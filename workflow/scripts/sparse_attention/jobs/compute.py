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
    kind, _, index = device.partition(":")
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind == "cuda" and not torch.version.cuda and not torch.version.hip:
        text = f"needs a PyTorch with CUDA, but {torch.__version__} is installed"
        raise InputError(f"device: {device!r} {text}; allowed: auto, cpu")
    if not counts.get(kind):
        text = "is not available on this machine" + (
            ": see nvidia-smi and CUDA_VISIBLE_DEVICES" if kind == "cuda" else ""
        )
        raise InputError(f"device: {device!r} {text}; allowed: auto, cpu")
    if int(index or 0) >= counts[kind]:
        names = ", ".join(f"{kind}:{number}" for number in range(counts[kind]))
        raise InputError(f"device: {device!r} is not available on this machine; allowed: auto, cpu, {names}")
    return device
