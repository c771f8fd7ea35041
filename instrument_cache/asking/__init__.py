"""Asks the parts of the running system what they know, all at once and each within a deadline."""
