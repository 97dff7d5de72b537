"""Facts about metrics, the metrics of classifiers, and numbers of multiply-adds."""
