"""What predicts a support before the scores are computed; `registry` finds every class, one file is one family."""
