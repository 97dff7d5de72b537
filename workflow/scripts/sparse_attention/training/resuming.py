"""Finds and removes the points from which an interrupted training resumes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sparse_attention.files.atomic import atomic_path

logger = logging.getLogger(__name__)

FINGERPRINT = "fingerprint.json"


def find_resume_point(resume: Path, fingerprint: Mapping[str, object]) -> Path | None:
    """Return the newest complete resume point of this training, if any.

    A folder of another training is cleared. A resume point is complete when Trainer's state, which is written last, can
    be read.

    Parameters
    ----------
    resume : Path
        Folder of resume points.
    fingerprint : mapping
        Everything that the training depends on; it must be serialisable as JSON.
    """
    file = resume / FINGERPRINT
    wanted = json.dumps(fingerprint, sort_keys=True)
    if not file.is_file() or file.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(resume, ignore_errors=True)
        with atomic_path(file) as partial:
            partial.write_text(wanted, encoding="utf-8")
        return None
    points = sorted(resume.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1]))
    for point in points:
        with contextlib.suppress(OSError, ValueError):
            json.loads((point / "trainer_state.json").read_text(encoding="utf-8"))
            logger.info("continuing from step %s of an earlier run", point.name.split("-")[1])
            return point
    return None


def remove_resume_points(resume: str | os.PathLike[str]) -> None:
    """Remove the folder of resume points; one that is killed meanwhile leaves none that `find_resume_point` returns."""
    Path(resume, FINGERPRINT).unlink(missing_ok=True)
    shutil.rmtree(resume, ignore_errors=True)
