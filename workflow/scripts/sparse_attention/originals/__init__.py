"""Files of the published code, read without running anything in them."""
