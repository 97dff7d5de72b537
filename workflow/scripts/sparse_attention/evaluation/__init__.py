"""Evaluation of predicted supports: one sweep over all points of a grid."""
