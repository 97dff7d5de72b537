"""Entmax attention, its support and its masks."""
