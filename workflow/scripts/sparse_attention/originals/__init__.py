"""Read files that the published code wrote, without running code in them."""
