"""Is the running system ready to be relied on? Weighted checks, each failed one with its fix, and one score."""
