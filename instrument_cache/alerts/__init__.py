"""Tells people that an operation failed, that it did not happen, and that it is well again."""
