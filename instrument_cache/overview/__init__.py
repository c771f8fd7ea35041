"""Everything that an operator wants to see at a glance: asked of all parts at once, and judged."""
