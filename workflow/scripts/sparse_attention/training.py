"""Fine-tuning a masked language model, resumable to the byte."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
from transformers import PreTrainedModel

from sparse_attention.models.attention import Attention, set_attention
from sparse_attention.models.losses import Losses
from sparse_attention.models.masked_lm import offline, set_dropout
from sparse_attention.models.task import MaskedLMTask
from sparse_attention.models.trainer import Course, MaskedLMTrainer, training_arguments
from sparse_attention.scriptio import atomic_path

logger = logging.getLogger(__name__)

FINGERPRINT = "fingerprint.json"
COLUMNS = ["step", "phase", "loss", "learning_rate", "alpha"]


def train(
    model: PreTrainedModel, task: MaskedLMTask, attention: Attention, resume: Path, fingerprint: dict[str, Any]
) -> tuple[pd.DataFrame, Losses]:
    """Fine-tune `model` in place, going on from the resume point in `resume` when it is of the same training.

    A SIGTERM or Ctrl-C lets the current step end, saves a resume point and raises `SystemExit`.

    Parameters
    ----------
    resume : Path
        Folder of resume points; the caller removes it when the results are safe.
    fingerprint : dict
        Everything that the training depends on.

    Returns
    -------
    table : DataFrame
        `training.tsv`: step, phase, loss, learning_rate, alpha.
    after : Losses
        Of the trained model.
    """
    point = find_resume_point(resume, fingerprint)
    with offline():
        course = Course()
        trainer = MaskedLMTrainer(model, task, attention, training_arguments(task, resume, model.device), course)
        if task.options["dropout"] is not None:
            set_dropout(model, task.options["dropout"])
        if task.options["compile"]:
            model.base_model.compile()
        with _ending_gently(course):
            trainer.train(resume_from_checkpoint=None if point is None else str(point))
    if trainer.state.global_step < task.options["steps"]:
        logger.info("stopped at step %d; the same command goes on from there", trainer.state.global_step)
        raise SystemExit(128 + signal.SIGTERM)
    set_attention(model, attention)
    history = trainer.state.log_history
    last = next(entry for entry in reversed(history) if "eval_loss" in entry)
    after: dict[str, Any] = {name: last[f"eval_{name}"] for name in Losses.__dataclass_fields__}
    return training_table(history), Losses(**after)


def training_table(history: list[dict[str, Any]]) -> pd.DataFrame:
    """Turn Trainer's log into `training.tsv`."""
    rows = [
        {
            "step": entry["step"],
            "phase": "train" if "loss" in entry else "validation",
            "loss": entry["loss"] if "loss" in entry else entry["eval_loss"],
            "learning_rate": entry.get("learning_rate"),
            "alpha": entry["alpha"],
        }
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def find_resume_point(resume: Path, fingerprint: dict[str, Any]) -> Path | None:
    """Return the newest complete resume point; clear the folder when it is of another training.

    A point is complete when Trainer's state, which it writes last, can be read.
    """
    mark = resume / FINGERPRINT
    wanted = json.dumps(fingerprint, sort_keys=True)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(resume, ignore_errors=True)
        with atomic_path(mark) as partial:
            partial.write_text(wanted, encoding="utf-8")
        return None
    points = sorted(resume.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1]))
    for point in points:
        with contextlib.suppress(OSError, ValueError):
            json.loads((point / "trainer_state.json").read_text(encoding="utf-8"))
            logger.info("going on from step %s of an earlier run", point.name.split("-")[1])
            return point
    return None


@contextlib.contextmanager
def _ending_gently(course: Course) -> Iterator[None]:
    """Stop training after the current step at the first SIGTERM or SIGINT; a second one ends the process as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: FrameType | None) -> None:
        logger.info("%s: saving a resume point after this step", signal.Signals(number).name)
        restore()
        course.stop = True

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
