"""The lookup service: instruments over HTTP, read from Redis. `wsgi.py` starts it, docs/api.md says what it answers."""
