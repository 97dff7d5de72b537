"""Evaluation of predicted supports, in one pass over all points of a grid."""
