"""Servers of a moment: started for one task, gone with it."""
