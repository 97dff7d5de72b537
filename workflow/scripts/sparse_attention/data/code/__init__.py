"""Data sets of labelled code: readers, duplicates, splits without leaks between them, and tokens."""
