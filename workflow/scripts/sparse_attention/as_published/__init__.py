"""Quirks of the published Sparsefinder code: each is a switch that is off elsewhere.

Only `deviations` uses this package: it measures what each quirk changes. The code is that of deep-spin/sparsefinder and
deep-spin/sparsefinder-mlm; docs/deviations.md says what this workflow does instead.
"""

from sparse_attention.as_published import fitting, measures, predictors
from sparse_attention.as_published.registry import QUIRKS, Quirk

__all__ = ["QUIRKS", "Quirk", "fitting", "measures", "predictors"]
