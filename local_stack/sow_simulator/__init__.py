"""A stand-in for a State-of-the-World topic, with its own open protocol over HTTP (README.md)."""
