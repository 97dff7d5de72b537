"""Masked language models with entmax or softmax attention: loading, masking, training, evaluation."""
