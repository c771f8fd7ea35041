"""What was measured each minute, and what is left of the error budgets: freshness, availability, latency, equality."""
