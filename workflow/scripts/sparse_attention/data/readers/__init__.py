"""Readers of text corpora, one for each format. Each is a class in a file of its own."""
