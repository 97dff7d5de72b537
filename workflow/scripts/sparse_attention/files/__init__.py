"""Reading and writing of files, and what path segments say."""
