"""What every job shares: its log, seeds, threads and the digest of its code."""
