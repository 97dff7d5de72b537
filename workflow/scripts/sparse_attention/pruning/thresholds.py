"""The choice of tokens that a layer keeps: by learned thresholds, or by one of three baselines without learning."""

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
        `threshold`: absolute thresholds that are learned; `manual`: absolute thresholds that stay as they are; `topk`:
        a share of the tokens of each sequence, those of highest score; `random`: a share of the tokens, at random.
    score : str
        Name of an importance score, see `scores`.
    final : float
        End of the ramp, in [0, 1]: a threshold, or with `topk` and `random` the share of tokens that the last layer
        leaves.
    ramp : str
        Point of the ramp at layer l of N, counted from 0: `one_based` is `(l + 1) / N`; `zero_based` is `l / N`, as in
        the published code, where the last layer does not reach the end.
    temperature : float
        T of the soft keep weight `sigmoid((score - threshold) / T)`, as in LTP (Kim et al., KDD 2022); above 0.
    target : float, optional
        Share of kept tokens that the regulariser pulls towards, in [0, 1]; None: towards 0.
    seed : int
        Seed of `random`.
    variant : str
        `corrected`, or `as_published`: the published code with its quirks, see the module `as_published`. The latter is
        allowed only with mode `manual`, since its thresholds are never learned, and with score `relative`.

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
                raise InputError(
                    f"prunings.{name}: {getattr(self, name)!r} is not allowed; allowed: {', '.join(allowed)}"
                )
        if self.variant == "as_published" and (self.mode, self.score) != ("manual", "relative"):
            text = f"as_published is not allowed with mode {self.mode} and score {self.score}"
            raise InputError(f"prunings.variant: {text}; allowed: mode manual and score relative")
        if not self.temperature > 0:
            raise InputError(f"prunings.temperature: {self.temperature} is not allowed; allowed: above 0")
        if not 0 <= self.final <= 1:
            raise InputError(f"prunings.final: {self.final} is not allowed; allowed: from 0 to 1")
        if self.target is not None and not 0 <= self.target <= 1:
            raise InputError(f"prunings.target: {self.target} is not allowed; allowed: from 0 to 1, or null")

    @property
    def by_threshold(self) -> bool:
        """Whether the mode uses thresholds, rather than a share of the tokens."""
        return self.mode in ("threshold", "manual")


def ramp(layers: int, final: float, kind: str) -> Tensor:
    """Return the linear ramp to `final` at each layer, float32 ``(layers,)``; see `PruningSettings.ramp`."""
    first = 1 if kind == "one_based" else 0
    return final * torch.arange(first, layers + first, dtype=torch.float64).div(layers).float()


class Thresholds(nn.Module):
    """One threshold per layer: a fixed linear `base` and an `offset` that starts at 0 and may be learned.

    Parameters
    ----------
    layers : int
        Number of layers.
    settings : PruningSettings
        How tokens are pruned.

    Attributes
    ----------
    temperature : float
        Temperature of the soft keep weights, which training may lower.
    shares : list of float or None
        Share of tokens that each layer leaves; None where thresholds decide.
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
        """Return the thresholds, ``(layers,)``."""
        return self.base + self.offset

    def log_soft(self, layer: int, scores: Tensor) -> Tensor:
        """Return the logarithm of one layer's soft keep weights, ``(batch, n)``; that of CLS is 0.

        Parameters
        ----------
        layer : int
            Index of the layer.
        scores : Tensor
            Importance scores, ``(batch, n)``.

        Raises
        ------
        ValueError
            When the mode keeps a share of the tokens, for which no soft weights exist.
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
            Index of the layer.
        scores : Tensor
            Importance scores, ``(batch, n)``.
        alive : Tensor
            bool ``(batch, n)``, the tokens kept so far; only these can be kept.
        lengths : Tensor
            int64 ``(batch,)``, number of real tokens of each sequence, of which shares are taken.

        Returns
        -------
        Tensor
            bool ``(batch, n)``; CLS is always kept.
        """
        if self.shares is None:
            kept = scores >= self.values()[layer]
        else:
            # a product that is a whole number but for rounding is not rounded up to the next one
            numbers = (lengths * self.shares[layer] - 1e-4).ceil().clamp_min(1)
            kept = _ranks(scores, alive) < numbers[:, None]
        kept = kept & alive
        kept[:, 0] = alive[:, 0]
        return kept

    def regulariser(self, keep: Tensor, real: Tensor) -> Tensor:
        """Return the term that training lowers: the kept share, or its squared distance to the target.

        The kept share is the mean keep weight over all real tokens, averaged over layers.

        Parameters
        ----------
        keep : Tensor
            Product of the keep weights up to each layer, ``(layers, batch, n)``.
        real : Tensor
            bool ``(batch, n)``, False for padding.

        Returns
        -------
        Tensor
            Scalar.
        """
        share = (keep * real).sum((1, 2)).div(real.sum().clamp_min(1)).mean()
        return share if self.settings.target is None else (share - self.settings.target).square()


def _ranks(scores: Tensor, alive: Tensor) -> Tensor:
    """Rank each sequence's tokens from 0: CLS first, then by falling score; of equal scores the earlier token first."""
    values = scores.detach().masked_fill(~alive, -torch.inf)
    values = torch.cat([torch.full_like(values[:, :1], torch.inf), values[:, 1:]], 1)
    order = values.argsort(dim=1, descending=True, stable=True)
    ranks = torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks)
