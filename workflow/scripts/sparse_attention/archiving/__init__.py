"""Bundles of results that can be published, and from which a run can start."""
