"""Queries and keys of a model: our store and the formats of the originals."""
