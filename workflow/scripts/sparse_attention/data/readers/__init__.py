"""Readers of text corpora, one class for each format, each in a file of its own."""
