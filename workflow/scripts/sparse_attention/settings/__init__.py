"""The configuration: how it is read and checked, and the grids it spans; free of torch."""
