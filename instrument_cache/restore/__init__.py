"""Brings a backup back: plan → restore → catch up → report. docs/restore.md says how it is used."""
