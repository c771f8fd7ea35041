"""The one logger: JSON lines for machines, or a console form for people (ICACHE_LOG_FORMAT=json|console)."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor

from instrument_cache.errors import SettingsError
from instrument_cache.settings import environment

_RENDERERS = {"json": structlog.processors.JSONRenderer, "console": structlog.dev.ConsoleRenderer}


def configure_logging(component: str) -> None:
    """Send structlog to standard error with time, level and component. Raises SettingsError for an unknown form."""
    env = environment()
    form = env.text("ICACHE_LOG_FORMAT", "json")
    level = logging.getLevelNamesMapping().get(env.text("ICACHE_LOG_LEVEL", "INFO").upper())
    if form not in _RENDERERS or level is None:
        raise SettingsError("ICACHE_LOG_FORMAT must be json or console, and ICACHE_LOG_LEVEL a level such as INFO")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_component(component),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _RENDERERS[form](),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Not PrintLogger: Flink replaces print() in its Python workers by one that lacks `flush`.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _with_component(component: str) -> Processor:
    """Not a context variable: those do not reach other threads."""

    def add(logger: object, method: str, event: EventDict) -> EventDict:
        event.setdefault("component", component)
        return event

    return add
