"""The versioned store: a last-writer-wins register per key, whose order does not depend on arrival."""
