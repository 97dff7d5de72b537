"""Readers of labelled code, one class for each format, each in a file of its own."""
