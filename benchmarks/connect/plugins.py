"""Which sinks lie in a folder of Kafka Connect plugins: looked up in the jars, without starting Java."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instrument_cache.errors import InstrumentCacheError

SERVICE: Final = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"
_CLASS: Final = "SinkConnector.class"
# Kafka's own: its base class and its test connectors, which some plugins carry with them.
_NOT_SINKS: Final = ("org.apache.kafka.",)


@dataclass(frozen=True)
class Plugin:
    """A folder whose jars are loaded together, and the classes in it that are sinks, sorted."""

    folder: Path
    sinks: tuple[str, ...]


def find_plugins(folder: Path) -> list[Plugin]:
    """The plugins of a folder that is one itself, or that holds one folder for each.

    Raises InstrumentCacheError if it holds no jar, or a jar that cannot be read.
    """
    if not folder.is_dir():
        raise InstrumentCacheError(f"{folder} is no folder; give the one that holds the plugin's jars")
    folder = folder.resolve()
    candidates = [folder] if any(folder.glob("*.jar")) else sorted(path for path in folder.iterdir() if path.is_dir())
    plugins = [Plugin(path, sinks_of(path)) for path in candidates if any(jars_of(path))]
    if not plugins:
        raise InstrumentCacheError(
            f"{folder} holds no jar, and no folder with one; docs/performance.md, Peers, says how to get a plugin"
        )
    return plugins


def jars_of(folder: Path) -> Iterator[Path]:
    """Every jar of a plugin: archives of plugins keep them in lib/."""
    return folder.rglob("*.jar")


def sinks_of(folder: Path) -> tuple[str, ...]:
    """The names of the sink classes in a plugin's jars, sorted."""
    found = {name for jar in jars_of(folder) for name in _sinks_in(jar)}
    return tuple(sorted(name for name in found if not name.startswith(_NOT_SINKS)))


def _sinks_in(jar: Path) -> Iterator[str]:
    """Those that the jar registers as a service, else those that are named so."""
    try:
        with zipfile.ZipFile(jar) as archive:
            yield from map(_class_name, filter(_is_sink_class, archive.namelist()))
            if SERVICE in archive.namelist():
                yield from service_names(archive.read(SERVICE).decode(errors="replace"))
    except zipfile.BadZipFile as error:
        raise InstrumentCacheError(f"{jar} is no jar ({error}); get the plugin again") from None


def service_names(text: str) -> list[str]:
    """The class names in a service file: one per line, with comments."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _is_sink_class(entry: str) -> bool:
    name = entry.rpartition("/")[2]
    return name.endswith(_CLASS) and "$" not in name and not name.startswith(("Abstract", "Base"))


def _class_name(entry: str) -> str:
    return entry.removesuffix(".class").replace("/", ".")
