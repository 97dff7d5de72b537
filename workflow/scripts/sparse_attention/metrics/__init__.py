"""Facts and formulas of metrics: definitions, metrics of classifiers, numbers of multiply-adds."""
