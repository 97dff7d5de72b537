"""How good predicted supports are."""
