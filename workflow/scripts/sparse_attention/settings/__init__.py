"""The configuration, its checks and the grids that it spans; free of torch."""
