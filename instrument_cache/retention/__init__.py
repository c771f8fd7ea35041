"""Removes what has aged out, by settings. Backups and plans of reconciliation are removed by their own operations."""
