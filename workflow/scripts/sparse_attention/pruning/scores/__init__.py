"""Importance scores of tokens, which a layer compares with its threshold; each is a class in a file of its own."""
