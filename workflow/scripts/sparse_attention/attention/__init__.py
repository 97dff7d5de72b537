"""Attention on tensors alone: entmax, masks, blocks, distances and supports."""
