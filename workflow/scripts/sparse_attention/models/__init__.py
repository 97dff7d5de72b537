"""Models, loaded offline without running foreign code, and their attention."""
