"""Times of attention over predicted blocks against dense attention, by length."""
