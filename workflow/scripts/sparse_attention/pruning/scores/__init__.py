"""Importance scores: what a layer compares with its threshold. Each is a class in a file of its own."""
