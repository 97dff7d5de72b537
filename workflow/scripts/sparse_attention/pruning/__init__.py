"""Learned token pruning of classifiers: scores, thresholds, models that prune, their evaluation and export."""
