"""The doctor: asks every part of the system how it is, and says what is broken, why, and what mends it."""

from __future__ import annotations

from instrument_cache.doctor.asking import part_of
from instrument_cache.doctor.examination import examine
from instrument_cache.doctor.model import Finding, Severity, is_red, red_first

__all__ = ["Finding", "Severity", "examine", "is_red", "part_of", "red_first"]
