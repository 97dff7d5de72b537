"""Figures, each drawn from published tables only."""
