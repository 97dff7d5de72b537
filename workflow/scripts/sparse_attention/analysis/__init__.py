"""Looks inside predictors, beyond the supports that they predict."""
