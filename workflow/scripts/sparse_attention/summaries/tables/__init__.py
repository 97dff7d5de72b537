"""The published tables, one in each file."""
