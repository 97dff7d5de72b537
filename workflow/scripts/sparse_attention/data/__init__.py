"""Data sets, from retrieval to tokenised blocks: sources, readers, splits, text and code."""
