"""Language models whose attention is limited to predicted supports: running, measuring, saving and loading them."""
