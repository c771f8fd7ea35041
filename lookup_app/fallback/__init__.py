"""Read-through: what the cache does not know is asked of the source, once, and kept under the store's own rule."""
