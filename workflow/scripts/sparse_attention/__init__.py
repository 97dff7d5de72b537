"""Predicting the support of sparse attention: the library behind the workflow's scripts."""
