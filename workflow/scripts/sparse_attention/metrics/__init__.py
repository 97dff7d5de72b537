"""Facts and formulas of metrics: what each one means, classification, multiply-adds."""
