"""Evaluation of predicted supports: one pass over all points of a grid."""
