"""Command groups of `icache`, one file each."""
