"""Softmax and entmax attention that computes only chosen blocks of queries and keys, and the lists of these blocks."""
