"""Copies of the cache in object storage: signed, restored once before they count, and kept in two regions."""
