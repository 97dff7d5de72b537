"""Predictors of the support, one file for each family: `registry` finds them, `base` says what they are."""
