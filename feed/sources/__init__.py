"""Adapters: each makes one kind of source speak the kernel's source interface."""
