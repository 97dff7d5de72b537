"""Learned projections of queries and keys."""
