"""The audit trail: what operations reported and people approved, in a chain of hashes that shows every alteration."""
