"""What every job shares: its log, progress, seeds and threads, and the digest of the code it runs."""
