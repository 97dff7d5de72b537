"""What every job shares, such as its log, seeds, threads and the digest of its code."""
