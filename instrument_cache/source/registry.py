"""Makes a source from its URL. The scheme chooses the adapter, which is imported only when it is asked for.

An adapter outside this project is a plug-in: a package with an entry point in the group `instrument_cache.sources`,
whose name is the scheme and whose object is a function `(url, environment) -> Source`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final
from urllib.parse import urlsplit

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment
from instrument_cache.source.interface import Source

ENTRY_POINT_GROUP: Final = "instrument_cache.sources"
SourceFactory = Callable[[str, Environment], Source]

# Names, not objects: the kernel does not import the adapters.
_TARGETS: Final[dict[str, str]] = {
    "memory": "instrument_cache.source.memory:open_source",
    "sow+http": "feed.sources.simulator:open_source",
    "sow+https": "feed.sources.simulator:open_source",
}


def register(scheme: str, target: str) -> None:
    """Add or replace the adapter of a scheme; `target` is `module:attribute` of a SourceFactory."""
    _TARGETS[scheme] = target


def schemes() -> list[str]:
    """Every scheme that `open_source` knows, plug-ins included."""
    return sorted({*_TARGETS, *entry_points(group=ENTRY_POINT_GROUP).names})


def open_source(url: str | None = None, env: Environment | None = None) -> Source:
    """The source at `url`, by default that of the setting ICACHE_SOURCE_URL; adapters read their settings from `env`.

    Raises SettingsError if the URL names no known scheme or its adapter cannot be imported. Nothing is connected yet.
    """
    env = env or environment()
    url = url or env.text("ICACHE_SOURCE_URL")
    return _factory(url)(url, env)


def _factory(url: str) -> SourceFactory:
    scheme = urlsplit(url).scheme
    if scheme in _TARGETS:
        return _resolve(scheme, _TARGETS[scheme])
    for plugin in entry_points(group=ENTRY_POINT_GROUP, name=scheme):
        return _resolve(scheme, plugin.value)
    raise SettingsError(
        f"the scheme {scheme!r} of the source URL is not known; it must be one of {', '.join(schemes())}: "
        "correct ICACHE_SOURCE_URL or install the adapter"
    )


def _resolve(scheme: str, target: str) -> SourceFactory:
    module, _, attribute = target.partition(":")
    try:
        factory: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"the adapter {target!r} of {scheme!r} cannot be loaded ({error}): install it") from error
    return factory  # type: ignore[no-any-return]
