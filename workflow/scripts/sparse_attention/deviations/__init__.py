"""Effects of the quirks of the published code: corrected against as published, on the same examples."""

from __future__ import annotations

import pandas as pd

from sparse_attention.deviations import fits, predicting
from sparse_attention.deviations.comparing import COLUMNS, Comparison
from sparse_attention.deviations.samples import Sample
from sparse_attention.jobs.progress import progress
from sparse_attention.projections.fitting import FitOptions

__all__ = ["COLUMNS", "PARTS", "Sample", "measure"]

PARTS = (
    *(fits.single, fits.accumulation, fits.ragged, fits.causal, fits.symmetry, fits.rescaling, fits.leak),
    *(
        predicting.clusters,
        predicting.patterns,
        predicting.strides,
        predicting.hashing,
        predicting.routing,
        predicting.entmax,
    ),
    *(predicting.intervals, predicting.rounding, predicting.windows, predicting.kept_tokens),
    *(predicting.computation, predicting.entropy),
)
"""Functions that each measure one or several quirks, and add rows to a `Comparison`."""


def measure(train: Sample, validation: Sample, options: FitOptions, seed: int) -> pd.DataFrame:
    """Measure all quirks.

    Parameters
    ----------
    train, validation : Sample
        Examples of the same layers.
    options : FitOptions
        Options of the projections, which are fitted on the train sample.
    seed : int
        Seed of fitting, clustering and random predictors.

    Returns
    -------
    DataFrame
        One row per quirk, subject and metric, columns `COLUMNS`.
    """
    comparison = Comparison(train, validation, options, seed)
    for part in progress(PARTS, len(PARTS), "measuring"):
        part(comparison)
    return comparison.table()
