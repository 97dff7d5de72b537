"""Attention over block lists on NVIDIA GPUs, softmax and entmax, forward and backward, as Triton kernels."""
