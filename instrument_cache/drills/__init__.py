"""Drills: a scratch group or region is built, something is taken away, and what readers and writers see is measured."""
