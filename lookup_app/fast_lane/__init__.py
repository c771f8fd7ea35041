"""An event loop before the server, for reads that need no thread; whatever is not plainly such a read goes on to it."""
