"""The sinks that are known, each as its fastest: bytes in, bytes out, no parsing. A file can say it otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.connect.plugins import Plugin
from instrument_cache.errors import InstrumentCacheError

CLASS: Final = "connector.class"
_BYTES: Final = "org.apache.kafka.connect.converters.ByteArrayConverter"
_PASS_THROUGH: Final = {
    "key.converter": _BYTES,
    "value.converter": _BYTES,
    # As many as in a batch of the product.
    "consumer.override.max.poll.records": "5000",
}
KNOWN: Final[dict[str, dict[str, str]]] = {
    "com.redis.kafka.connect.RedisSinkConnector": {
        **_PASS_THROUGH,
        "redis.uri": "${redis.url}",
        "redis.type": "STRING",
        "redis.keyspace": "",
    },
    "com.github.jcustenborder.kafka.connect.redis.RedisSinkConnector": {
        **_PASS_THROUGH,
        "redis.hosts": "${redis.host}:${redis.port}",
        "redis.password": "${redis.password}",
        "redis.database": "0",
    },
}
_SET_BY_THE_BENCHMARK: Final = frozenset({"name", "topics", "topics.regex", "tasks.max"})


@dataclass(frozen=True)
class Sink:
    """A class and its properties, in which `${redis.url}`, `${redis.host}`, `${redis.port}` and `${redis.password}`
    stand for the Redis that it is given."""

    connector_class: str
    properties: dict[str, str]

    def configured(self, redis: Mapping[str, str]) -> dict[str, str]:
        """The properties with the places filled; `redis` is {"redis.url": …}. Others, as `${topic}`, stay."""

        def value_of(place: re.Match[str]) -> str:
            return redis.get(place[1], place[0])

        return {name: re.sub(r"\$\{([\w.]+)\}", value_of, value) for name, value in self.properties.items()}


def choose_sinks(plugins: Sequence[Plugin], config: Mapping[str, str]) -> list[Sink]:
    """What to run of what was found: every known sink, or the class that `config` names; `config` goes before.

    Raises InstrumentCacheError, which names what was found and says what to do, if that is none.
    """
    found = [name for plugin in plugins for name in plugin.sinks]
    wanted = [config[CLASS]] if CLASS in config else [name for name in found if name in KNOWN]
    if not wanted or not set(wanted) <= set(found):
        raise InstrumentCacheError(_not_chosen(plugins, found, config.get(CLASS)))
    return [Sink(name, {**KNOWN.get(name, {}), **config, CLASS: name}) for name in dict.fromkeys(wanted)]


def _not_chosen(plugins: Sequence[Plugin], found: Sequence[str], wanted: str | None) -> str:
    folders = ", ".join(str(plugin.folder) for plugin in plugins)
    if not found:
        return f"no sink was found in the jars of {folders}; give the folder of a sink with all jars that it needs"
    if wanted:
        return f"{wanted} is not in {folders}, which holds {', '.join(found)}; correct {CLASS}"
    return (
        f"{folders} holds {', '.join(found)}, and no sink that is known here ({', '.join(KNOWN)}); name one with "
        f"--peer-config FILE: {CLASS}=… and how it finds Redis, with ${{redis.host}}, ${{redis.port}}, "
        "${redis.password} or ${redis.url}"
    )


def read_properties(path: Path) -> dict[str, str]:
    """A file of connector properties, `name=value` per line. Raises InstrumentCacheError for any other line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InstrumentCacheError(f"the properties of the sink cannot be read: {error}") from None
    properties = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith(("#", "!")):
            name, value = _property(line, f"{path}:{number}")
            properties[name] = value
    return properties


def _property(line: str, where: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not name:
        raise InstrumentCacheError(f"{where}: {line[:60]!r} is no property; write name=value")
    if name in _SET_BY_THE_BENCHMARK:
        raise InstrumentCacheError(f"{where}: the benchmark sets {name!r} itself; remove the line")
    return name, value
