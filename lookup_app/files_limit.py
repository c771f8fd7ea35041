"""A connection is an open file, and the usual limit of 1024 is soft."""

from __future__ import annotations

import resource


def raise_limit_of_files() -> None:
    """Let this process have as many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
