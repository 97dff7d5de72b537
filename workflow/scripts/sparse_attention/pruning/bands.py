"""Layout of queries and keys in chunks, so that the cost of local attention grows with its window only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


class Band:
    """Queries in chunks; the keys of a chunk are CLS, its own tokens, and half a window of tokens on either side.

    Tokens are in the order of their original positions. So a key whose position is at most half a window away from that
    of a query is also at most half a window away in the tensor.

    Parameters
    ----------
    positions : Tensor
        Original positions, int64 ``(batch, n)``.
    log_keep : Tensor
        ``(batch, n)``, added to the logits of each key.
    window : int
        Longformer's attention window.

    Attributes
    ----------
    rows, chunks : int
        Number of queries of a chunk (the last one is padded), and number of chunks.
    reach, width : int
        Half a window, and the number of keys of a chunk without CLS: `rows + 2 reach`.
    bias : Tensor
        Added to the logits, ``(batch, 1, chunks, rows, 1 + width)``: first CLS, then the band, in which CLS is
        hidden.
    """

    def __init__(self, positions: Tensor, log_keep: Tensor, window: int) -> None:
        self.n, self.reach = positions.shape[1], window // 2
        self.rows = max(
            self.reach, 1
        )  # fewer rows would waste fewer products outside the window, but make smaller matrices
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
        """Return ``(batch, heads, n, dim)`` as ``(batch, heads, chunks, rows, dim)``."""
        return pad(tensor, (0, 0, 0, self.beyond)).unflatten(2, (self.chunks, self.rows))

    def with_cls(self, tensor: Tensor) -> Tensor:
        """Return keys or values ``(batch, heads, n, head_dim)`` as ``(batch, heads, chunks, 1 + width, head_dim)``."""
        first = tensor[:, :, None, :1].expand(-1, -1, self.chunks, -1, -1)
        blocks = pad(tensor, (0, 0, *self.sides)).unflatten(2, (-1, self.rows))
        # neighbouring blocks, as `unfold` would give them, whose gradient is slow
        neighbours = [blocks[:, :, start : start + self.chunks] for start in range(self.width // self.rows)]
        return torch.cat([first, *neighbours], 3)

    def by_token(self, sums: Tensor) -> Tensor:
        """Return sums by chunk and key, ``(batch, chunks, 1 + width)``, as sums by token, ``(batch, n)``."""
        columns = (
            torch.arange(self.width, device=sums.device)
            + torch.arange(self.chunks, device=sums.device)[:, None] * self.rows
        )
        padded = sums.new_zeros(len(sums), self.n + sum(self.sides)).index_add(
            1, columns.flatten(), sums[..., 1:].flatten(1)
        )
        return torch.cat([sums[..., 0].sum(1, keepdim=True), padded[:, self.reach + 1 : self.reach + self.n]], 1)
