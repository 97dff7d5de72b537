"""The figures, one file each; plotting/registry.py finds them."""
