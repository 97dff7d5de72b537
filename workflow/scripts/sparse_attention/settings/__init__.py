"""The configuration, its checks, and the jobs that follow from it; works without torch."""
