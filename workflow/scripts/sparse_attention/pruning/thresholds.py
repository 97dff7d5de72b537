"""Which tokens a layer keeps: learned thresholds, and three baselines that learn nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sparse_attention.errors import InputError
from sparse_attention.pruning.scores.registry import discover

MODES = ("threshold", "manual", "topk", "random")
RAMPS = ("one_based", "zero_based")
VARIANTS = ("corrected", "as_published")


@dataclass(frozen=True)
class PruningSettings:
    """How tokens are scored and pruned.

    Attributes
    ----------
    mode : str
        `threshold`: absolute thresholds that are learned; `manual`: the same, never learned; `topk`: a share of each
        sequence's tokens, the best scored; `random`: such a share at random.
    score : str
        The name of an importance score, see `scores`.
    final : float
        Where the ramp ends: a threshold, or with `topk` and `random` the share of tokens that the last layer leaves.
    ramp : str
        `one_based`: layer l of N, from 0 on, lies at `(l + 1) / N` of the ramp; `zero_based`: at `l / N`, as in the
        original code, whose last layer never reaches the end.
    temperature : float
        Of the soft keep weight `sigmoid((score - threshold) / temperature)`.
    target : float, optional
        The kept share that the regulariser pulls to; without one it pulls to none.
    seed : int
        Of `random`.
    variant : str
        `corrected`, or `as_published`: the published code with its quirks, see the module `as_published`; only with
        mode `manual`, since its thresholds are never learned, and with score `relative`.

    Raises
    ------
    InputError
        When a value is not allowed.
    """

    mode: str = "threshold"
    score: str = "mean"
    final: float = 0.01
    ramp: str = "one_based"
    temperature: float = 1e-3
    target: float | None = None
    seed: int = 0
    variant: str = "corrected"

    def __post_init__(self) -> None:
        for name, allowed in (("mode", MODES), ("score", tuple(discover())), ("ramp", RAMPS), ("variant", VARIANTS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"pruning.{name}: {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        if self.variant == "as_published" and (self.mode, self.score) != ("manual", "relative"):
            raise InputError("pruning.variant: as_published; allowed: with mode manual and score relative")
        if not self.temperature > 0:
            raise InputError(f"pruning.temperature: {self.temperature}; allowed: above 0")
        if not 0 <= self.final <= 1:
            raise InputError(f"pruning.final: {self.final}; allowed: from 0 to 1")
        if self.target is not None and not 0 <= self.target <= 1:
            raise InputError(f"pruning.target: {self.target}; allowed: from 0 to 1, or null")

    @property
    def by_threshold(self) -> bool:
        """Whether a threshold decides, rather than a share."""
        return self.mode in ("threshold", "manual")


def ramp(layers: int, final: float, kind: str) -> Tensor:
    """Return the linear ramp to `final` at each layer, float32 `(layers)`; see `PruningSettings.ramp`."""
    first = 1 if kind == "one_based" else 0
    return final * torch.arange(first, layers + first, dtype=torch.float64).div(layers).float()


class Thresholds(nn.Module):
    """One threshold per layer: a fixed linear `base` and an `offset` that starts at 0 and may be learned.

    Parameters
    ----------
    layers : int
    settings : PruningSettings

    Attributes
    ----------
    temperature : float
        May be lowered while training.
    """

    base: Tensor

    def __init__(self, layers: int, settings: PruningSettings) -> None:
        super().__init__()
        self.settings = settings
        self.temperature = settings.temperature
        self.register_buffer("base", ramp(layers, settings.final, settings.ramp))
        self.offset = nn.Parameter(torch.zeros(layers), requires_grad=settings.mode == "threshold")
        dropped = ramp(layers, 1 - settings.final, settings.ramp)
        self.shares = None if settings.by_threshold else (1 - dropped).tolist()

    def values(self) -> Tensor:
        """Return the thresholds, `(layers)`."""
        return self.base + self.offset

    def log_soft(self, layer: int, scores: Tensor) -> Tensor:
        """Return the logarithm of one layer's soft keep weights, `(batch, n)`; that of CLS is 0.

        Raises
        ------
        ValueError
            When a share decides instead of a threshold: nothing is soft then.
        """
        if self.shares is not None:
            raise ValueError(f"mode {self.settings.mode} has no soft keep weights")
        weights = logsigmoid((scores - self.values()[layer]) / self.temperature)
        return torch.cat([torch.zeros_like(weights[:, :1]), weights[:, 1:]], 1)

    def hard(self, layer: int, scores: Tensor, alive: Tensor, lengths: Tensor) -> Tensor:
        """Return which tokens are kept after a layer.

        Parameters
        ----------
        layer : int
        scores : Tensor
            `(batch, n)`.
        alive : Tensor
            bool `(batch, n)`, the tokens kept so far: only these can be kept.
        lengths : Tensor
            `(batch)`, the numbers of real tokens, of which shares are taken.

        Returns
        -------
        Tensor
            bool `(batch, n)`; CLS is always kept.
        """
        if self.shares is None:
            kept = scores >= self.values()[layer]
        else:
            # what is a whole number but for rounding stays that number
            numbers = (lengths * self.shares[layer] - 1e-4).ceil().clamp_min(1)
            kept = _ranks(scores, alive) < numbers[:, None]
        kept = kept & alive
        kept[:, 0] = alive[:, 0]
        return kept

    def regulariser(self, keep: Tensor, real: Tensor) -> Tensor:
        """Return what training lowers: the kept share, or its squared distance to the target.

        Parameters
        ----------
        keep : Tensor
            Cumulative keep weights, `(layers, batch, n)`.
        real : Tensor
            bool `(batch, n)`, False for padding.

        Returns
        -------
        Tensor
            A scalar: the mean over all real tokens, then over layers.
        """
        share = (keep * real).sum((1, 2)).div(real.sum().clamp_min(1)).mean()
        return share if self.settings.target is None else (share - self.settings.target).square()


def _ranks(scores: Tensor, alive: Tensor) -> Tensor:
    """Rank each sequence's tokens: CLS first, then by falling score; of equal scores the earlier token first."""
    worth = scores.detach().masked_fill(~alive, -torch.inf)
    worth = torch.cat([torch.full_like(worth[:, :1], torch.inf), worth[:, 1:]], 1)
    order = worth.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)
