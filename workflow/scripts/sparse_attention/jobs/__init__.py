"""Helpers for jobs of all stages: log, seeds, threads, plug-ins, and the digest of their code."""
