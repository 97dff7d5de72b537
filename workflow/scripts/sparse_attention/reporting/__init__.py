"""The report: one HTML file that describes a run and its results."""
