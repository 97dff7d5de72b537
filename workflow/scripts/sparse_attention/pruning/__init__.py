"""Learned token pruning of classifiers: scores, thresholds, pruned models, their evaluation and export."""
