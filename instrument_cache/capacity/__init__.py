"""How large the cache is, how it grows, what that costs, and when a limit is reached."""
