"""Read the tables of the jobs that run the language model under full and under predicted attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.settings.grids import NO_PROJECTION

FULL = "full"
"""The value of the column `predictor` for full attention."""
POINT = ("setting", "window", "keep", "dense_empty_rows")
"""Columns that identify a point within a job."""
OF_BLOCKS = ("block", "document", "masked_tokens", "loss", "accuracy")
MEASURES = (*support_metrics(), "output_error", "empty_queries")
"""The columns of a job's table by head that are measured: the metrics of supports, and two of running them."""
OF_HEADS = ("gold", "layer", "head", "examples", *MEASURES)


@dataclass(frozen=True)
class Job:
    """The tables of one job.

    Attributes
    ----------
    run : dict
        What is known of the job: `attention`, `seed` and, under predicted attention, `predictor` with its facts and
        `projection`; `steps` where the model was trained further.
    path : str
        The file of `losses`.
    losses : pandas.DataFrame
        A row for each point and block, sorted by block within a point; a single point without settings for full
        attention.
    heads_path : str
        The file of `heads`; empty for full attention.
    heads : pandas.DataFrame
        A row for each point, gold support, layer and head; without rows for full attention.
    """

    run: Mapping[str, Any]
    path: str
    losses: pd.DataFrame
    heads_path: str
    heads: pd.DataFrame

    @property
    def of_full(self) -> tuple[str, int, int]:
        """What names the model with full attention that it is compared with: attention, seed and further steps."""
        return self.run["attention"], self.run["seed"], self.steps

    @property
    def is_full(self) -> bool:
        """Whether the model ran with full attention."""
        return not self.heads_path

    @property
    def steps(self) -> int:
        """The number of steps of further training, 0 for none."""
        return int(self.run.get("steps", 0))

    def points(self) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
        """Yield the settings of each point, in the file's order, with its losses and its table by head."""
        heads = dict(list(self.heads.groupby(list(POINT), sort=False)))
        for names, losses in self.losses.groupby(list(POINT), sort=False):
            yield dict(zip(POINT, names, strict=True)), losses, heads.get(names, self.heads.iloc[:0])


def read_jobs(files: Mapping[str, FileList]) -> list[Job]:
    """Read the tables of all jobs: full attention first, then predicted attention, then the models trained further.

    Parameters
    ----------
    files : mapping of str to FileList
        The kinds `full_mlm_losses`, `sparse_mlm_losses` and `sparse_mlm_heads`, and the same of models trained further,
        with `finetuned_` before their names, which may have no files. Losses and heads are of the same jobs in the same
        order.

    Raises
    ------
    InputError
        When a file is no table, or lacks a column.
    """
    jobs = []
    for full in (files["full_mlm_losses"], files["finetuned_full_mlm_losses"]):
        for path, run in zip(full.paths, full.runs, strict=True):
            losses = read_table(path, OF_BLOCKS).assign(setting="", window=0, keep="none", dense_empty_rows=False)
            jobs.append(Job(_full(run), str(path), _sorted(losses), "", pd.DataFrame(columns=[*POINT, *OF_HEADS])))
    for kind in ("sparse_mlm", "finetuned_mlm"):
        of_losses, of_heads = files[f"{kind}_losses"], files[f"{kind}_heads"]
        for path, heads_path, run in zip(of_losses.paths, of_heads.paths, of_losses.runs, strict=True):
            losses, heads = read_table(path, [*POINT, *OF_BLOCKS]), read_table(heads_path, [*POINT, *OF_HEADS])
            # a predictor without settings has an empty setting
            heads = heads.assign(setting=heads["setting"].fillna(""))
            jobs.append(Job(run, str(path), _sorted(losses), str(heads_path), heads))
    return jobs


def _full(run: Mapping[str, Any]) -> dict[str, Any]:
    return {"predictor": FULL, "label": "Full attention", "projection": NO_PROJECTION, **run}


def _sorted(losses: pd.DataFrame) -> pd.DataFrame:
    """Sort the blocks of each point, so that sums do not depend on the order of rows in a file."""
    losses = losses.assign(document=losses["document"].astype(str), setting=losses["setting"].fillna(""))
    place = losses.groupby(list(POINT), sort=False).ngroup().to_numpy()
    return losses.iloc[np.lexsort((losses["block"], place))].reset_index(drop=True)
