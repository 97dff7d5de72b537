"""Queries and keys of a model, and their gold supports: extraction, storage, dumps that users bring."""
