"""How queries and keys are laid out so that a window of attention costs as much as it is wide."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


class Band:
    """Queries in chunks, each with its own keys and half a window on either side, and with CLS before them.

    Tokens stand in the order of their positions, so keys within half a window of a query by position are so by place
    too.

    Attributes
    ----------
    rows, chunks : int
        Queries of a chunk, of which the last one may have fewer, and the number of chunks.
    reach, width : int
        Half a window, and the keys of a chunk without CLS: `rows + 2 reach`.
    bias : Tensor
        What is added to the logits, `(batch, 1, chunks, rows, 1 + width)`: that of CLS, then of the band, in which CLS
        has no place.
    """

    def __init__(self, positions: Tensor, log_keep: Tensor, window: int) -> None:
        self.n, self.reach = positions.shape[1], window // 2
        self.rows = max(self.reach, 1)  # fewer would meet less outside the window, and make smaller products
        self.width, self.chunks = self.rows + 2 * self.reach, -(-self.n // self.rows)
        self.beyond = self.chunks * self.rows - self.n
        self.sides = (self.reach, self.reach + self.beyond)
        local_keep = torch.cat([torch.full_like(log_keep[:, :1], -torch.inf), log_keep[:, 1:]], 1)
        query_positions = pad(positions, (0, self.beyond)).reshape(-1, self.chunks, self.rows, 1)
        key_positions = pad(positions, self.sides).unfold(1, self.width, self.rows)[:, :, None]
        bias = pad(local_keep, self.sides, value=-torch.inf).unfold(1, self.width, self.rows)[:, :, None]
        bias = bias.masked_fill((query_positions - key_positions).abs() > self.reach, -torch.inf)
        to_cls = log_keep[:, None, :1, None].expand(-1, self.chunks, self.rows, -1)
        self.bias = torch.cat([to_cls, bias], -1)[:, None]

    def queries(self, tensor: Tensor) -> Tensor:
        """Return `(batch, heads, n, ...)` as `(batch, heads, chunks, rows, ...)`."""
        return pad(tensor, (0, 0, 0, self.beyond)).unflatten(2, (self.chunks, self.rows))

    def with_cls(self, tensor: Tensor) -> Tensor:
        """Return keys or values `(batch, heads, n, head_dim)` as `(batch, heads, chunks, 1 + width, head_dim)`."""
        first = tensor[:, :, None, :1].expand(-1, -1, self.chunks, -1, -1)
        chunked = pad(tensor, (0, 0, *self.sides)).unfold(2, self.width, self.rows)
        return torch.cat([first, chunked.transpose(-1, -2)], 3)

    def by_token(self, sums: Tensor) -> Tensor:
        """Return sums over the keys of each chunk, `(batch, chunks, 1 + width)`, as sums by token, `(batch, n)`."""
        places = (
            torch.arange(self.width, device=sums.device)
            + torch.arange(self.chunks, device=sums.device)[:, None] * self.rows
        )
        padded = sums.new_zeros(len(sums), self.n + sum(self.sides)).index_add(
            1, places.flatten(), sums[..., 1:].flatten(1)
        )
        return torch.cat([sums[..., 0].sum(1, keepdim=True), padded[:, self.reach + 1 : self.reach + self.n]], 1)
