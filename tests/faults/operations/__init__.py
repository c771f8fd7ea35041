"""Faults of the operations: what happens to a reconciliation, a backup, a restore or a drill when something breaks."""
