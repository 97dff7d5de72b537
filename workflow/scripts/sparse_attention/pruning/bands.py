"""How queries and keys are laid out so that a window of attention costs as much as it is wide."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


class Band:
    """Queries in chunks of half a window, each with its own keys and half a window on either side.

    Attributes
    ----------
    half, chunks : int
    sides : tuple of int
        Keys added before the first one and after the last.
    bias : Tensor
        `(batch, 1, chunks, half, 1 + 3 half)`: of CLS's column, then of the band, in which CLS has no place.
    """

    def __init__(self, positions: Tensor, log_keep: Tensor, window: int) -> None:
        n, half = positions.shape[1], window // 2
        self.half, self.chunks = half, -(-n // half)
        self.beyond = self.chunks * half - n
        self.sides = (half, half + self.beyond)
        local_keep = torch.cat([torch.full_like(log_keep[:, :1], -torch.inf), log_keep[:, 1:]], 1)
        query_positions = pad(positions, (0, self.beyond)).reshape(-1, self.chunks, half, 1)
        key_positions = pad(positions, self.sides).unfold(1, 3 * half, half)[:, :, None]
        bias = pad(local_keep, self.sides, value=-torch.inf).unfold(1, 3 * half, half)[:, :, None]
        bias = bias.masked_fill((query_positions - key_positions).abs() > half, -torch.inf)
        to_cls = log_keep[:, None, :1, None].expand(-1, self.chunks, half, -1)
        self.bias = torch.cat([to_cls, bias], -1)[:, None]

    def queries(self, tensor: Tensor) -> Tensor:
        """Return `(batch, heads, n, head_dim)` as `(batch, heads, chunks, half, head_dim)`."""
        return pad(tensor, (0, 0, 0, self.beyond)).unflatten(2, (self.chunks, self.half))

    def chunked(self, tensor: Tensor) -> Tensor:
        """Return keys or values `(batch, heads, n, head_dim)` as `(batch, heads, chunks, head_dim, 3 half)`."""
        return pad(tensor, (0, 0, *self.sides)).unfold(2, 3 * self.half, self.half)
