"""How good a predicted support is."""
