"""Learned token pruning: attention over the tokens that are left, importance scores, thresholds and the model."""
