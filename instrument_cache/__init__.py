"""The kernel: what an instrument is, which change wins, and the only code that writes instruments to Redis."""
