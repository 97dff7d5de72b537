"""Queries and keys of a model and their gold supports: extraction, storage, and import of users' dumps."""
