"""Clusters of projected queries and keys."""
