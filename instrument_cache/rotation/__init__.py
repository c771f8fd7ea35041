"""Secrets are replaced while they are used: the new one beside the old, then the consumers, then without the old."""
