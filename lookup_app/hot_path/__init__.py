"""The short way for the two requests that come most: one instrument by its key, and a batch of keys."""
