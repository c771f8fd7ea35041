"""Proves that the cache equals its source, and repairs what does not. docs/reconcile.md says how."""
