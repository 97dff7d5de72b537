"""From a named data set to tokenised blocks: retrieval, readers, splits."""
