"""The figures, each drawn from a published table only."""
