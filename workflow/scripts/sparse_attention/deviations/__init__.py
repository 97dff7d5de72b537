"""Effects of the quirks of the published code: same data, same points, corrected against as published."""

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


def measure(train: Sample, validation: Sample, options: FitOptions, seed: int) -> pd.DataFrame:
    """Return `COLUMNS`, a row for each quirk, subject and metric.

    Parameters
    ----------
    train, validation : Sample
        Of the same layers.
    options : FitOptions
        Of the projections, which are fitted on the train sample.
    seed : int
        Of everything random.
    """
    comparison = Comparison(train, validation, options, seed)
    for part in progress(PARTS, len(PARTS), "measuring"):
        part(comparison)
    return comparison.table()
