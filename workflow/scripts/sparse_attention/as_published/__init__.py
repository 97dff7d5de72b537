"""Quirks of the published Sparsefinder code: reproduced to measure what each of them changes.

Only `deviations` uses this package. The published code is deep-spin/sparsefinder and deep-spin/sparsefinder-mlm;
docs/deviations.md says what this workflow does instead.
"""

from sparse_attention.as_published import fitting, measures, predictors, routing
from sparse_attention.as_published.registry import QUIRKS, Quirk

__all__ = ["QUIRKS", "Quirk", "fitting", "measures", "predictors", "routing"]
