"""Reading and writing of files, and of the segments of their paths."""
