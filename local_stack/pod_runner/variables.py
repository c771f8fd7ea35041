"""Environment variables of a container: `env`, `envFrom`, references to secrets and config maps, `$(NAME)`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.status import Cause, Json

_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^()$]+)\)")
_Store = Mapping[str, Mapping[str, str]]  # object name → key → value


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by `$`; an unknown name stays as it is, as in Kubernetes."""

    def replacement(match: re.Match[str]) -> str:
        return "$" if match["name"] is None else variables.get(match["name"], match[0])

    return _REFERENCE.sub(replacement, text)


def container_variables(container: Json, config: RunnerConfig) -> dict[str, str]:
    """Resolve a checked container's variables; `env` overrides `envFrom`, later entries override earlier ones."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        values = _find_object(source, "secretRef", "configMapRef", config)[1]
        variables |= {f"{source.get('prefix') or ''}{key}": value for key, value in (values or {}).items()}
    for item in container.get("env") or ():
        value = _value_of(item, variables, config)
        if value is not None:
            variables[item["name"]] = value
    return variables


def check_variables(path: str, container: Json, config: RunnerConfig) -> Iterator[Cause]:
    """Yield what is wrong with `env` and `envFrom`; a missing secret is refused here, where a cluster would hang."""
    for field, check in (("env", _check_variable), ("envFrom", _check_source)):
        items = container.get(field) or []
        if not isinstance(items, list):
            yield Cause(f"{path}.{field}", "a list is needed", "FieldValueTypeInvalid")
            continue
        for index, item in enumerate(items):
            where = f"{path}.{field}[{index}]"
            if isinstance(item, dict):
                yield from check(where, item, config)
            else:
                yield Cause(where, "an object is needed", "FieldValueTypeInvalid")


def _value_of(item: Json, variables: Mapping[str, str], config: RunnerConfig) -> str | None:
    reference = item.get("valueFrom")
    if not reference:
        return expand(item.get("value") or "", variables)
    values = _find_object(reference, "secretKeyRef", "configMapKeyRef", config)[1] or {}
    key: str = (reference.get("secretKeyRef") or reference["configMapKeyRef"])["key"]
    return values.get(key)


def _find_object(
    source: Json, secret: str, config_map: str, config: RunnerConfig
) -> tuple[Json, Mapping[str, str] | None]:
    """Return the reference in `source` and the values of the secret or config map that it names."""
    stores: tuple[tuple[str, _Store], ...] = ((secret, config.secrets), (config_map, config.config_maps))
    reference, store = next((source[field], store) for field, store in stores if source.get(field))
    return reference, store.get(reference["name"])


def _check_variable(path: str, item: Json, config: RunnerConfig) -> Iterator[Cause]:
    name, value, reference = item.get("name"), item.get("value"), item.get("valueFrom")
    if not isinstance(name, str) or not name.isascii() or not name.isprintable() or not name or "=" in name:
        yield Cause(f"{path}.name", f"{name!r} is not a variable name: printable ASCII without =")
    if value is not None and (not isinstance(value, str) or "\0" in value):
        yield Cause(f"{path}.value", "a string without NUL is needed", "FieldValueTypeInvalid")
    if reference:
        if value:
            yield Cause(f"{path}.valueFrom", "may not be given beside value")
        yield from _check_reference(f"{path}.valueFrom", reference, ("secretKeyRef", "configMapKeyRef"), config)


def _check_source(path: str, item: Json, config: RunnerConfig) -> Iterator[Cause]:
    if not isinstance(item.get("prefix") or "", str):
        yield Cause(f"{path}.prefix", "a string is needed", "FieldValueTypeInvalid")
    source = {field: value for field, value in item.items() if field != "prefix"}
    yield from _check_reference(path, source, ("secretRef", "configMapRef"), config)


def _check_reference(path: str, source: Any, fields: tuple[str, str], config: RunnerConfig) -> Iterator[Cause]:
    given = [field for field, value in source.items() if value] if isinstance(source, dict) else []
    if len(given) != 1 or given[0] not in fields:
        message = f"exactly one of {fields[0]} and {fields[1]} is needed here, not {', '.join(given) or 'none'}"
        yield Cause(path, message, "FieldValueNotSupported")
        return
    where, reference = f"{path}.{given[0]}", source[given[0]]
    parts = ("name", "key") if fields[0] == "secretKeyRef" else ("name",)
    if not isinstance(reference, dict) or not all(isinstance(reference.get(part), str) for part in parts):
        yield Cause(where, f"an object with {' and '.join(parts)} is needed", "FieldValueTypeInvalid")
        return
    values = _find_object(source, *fields, config)[1]
    if not reference.get("optional") and (values is None or ("key" in parts and reference["key"] not in values)):
        wanted = ".".join(reference[part] for part in parts)
        message = f"{wanted!r} is not in the runner's configuration; add it there, or make it optional"
        yield Cause(where, message, "FieldValueNotFound")
