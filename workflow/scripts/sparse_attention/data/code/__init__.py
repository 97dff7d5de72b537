"""From a named data set of labelled code to functions, split without leaks."""
