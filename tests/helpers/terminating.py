"""End this process in the middle of a training, as a cluster does."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest


def send_sigterm_in(step: int, trainer: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM to this process while a `trainer` computes `step`, counted from 1, which is then completed."""
    original = trainer.compute_loss

    def compute_loss(self: Any, *arguments: Any, **options: Any) -> Any:
        if self.state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments, **options)

    monkeypatch.setattr(trainer, "compute_loss", compute_loss)
