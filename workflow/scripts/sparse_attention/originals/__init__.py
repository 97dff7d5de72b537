"""Files of the published code: read without running code in them."""
