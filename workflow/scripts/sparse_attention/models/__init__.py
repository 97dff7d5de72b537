"""Load models offline and without running foreign code, and replace their attention."""
