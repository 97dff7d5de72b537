"""Models, loaded offline and guarded, and their attention."""
