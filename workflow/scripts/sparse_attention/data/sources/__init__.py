"""Where the files of a data set come from: one module a kind of source."""
