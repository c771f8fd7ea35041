"""A client of schema registries that speak Confluent's API (Confluent, Apicurio, Karapace)."""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import httpx

from instrument_cache.errors import InstrumentCacheError, RegistryUnavailable, SchemaUnusable, UnknownSchema
from instrument_cache.settings import Environment, environment

_T = TypeVar("_T")
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_ANSWER_BYTES_MAX: Final = 4_000_000
_NOT_FOUND: Final = (40401, 40402, 40403)


class SchemaRefused(InstrumentCacheError):
    """The registry does not take a schema: it is malformed, or breaks the compatibility that the subject asks for."""


class SchemaRegistry:
    """Knows the schemas of a registry by their id. Safe to share between threads.

    What an id means never changes, so a schema is asked for once. An unknown id is asked for again after `unknown_s`,
    because it may be registered meanwhile; at most `unknown_max` of them are remembered.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 2.0,
        unknown_s: float = 30.0,
        unknown_max: int = 10_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(timeout=timeout_s, headers={"Accept": f"{_CONTENT_TYPE}, application/json"})
        self._known: dict[int, str | SchemaUnusable] = {}
        self._unknown: OrderedDict[int, float] = OrderedDict()
        self._unknown_s, self._unknown_max, self._monotonic = unknown_s, unknown_max, monotonic

    def schema(self, schema_id: int) -> str:
        """The JSON text of an Avro schema.

        Raises UnknownSchema if the registry says that there is none, SchemaUnusable if it is no Avro schema that stands
        by itself, and RegistryUnavailable if the registry does not answer.
        """
        known = self._known.get(schema_id)
        if known is None:
            known = self._known[schema_id] = self._fetch(schema_id)
        if isinstance(known, SchemaUnusable):
            raise SchemaUnusable(str(known))
        return known

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """The id of a schema under a subject; the same schema gets the same id again. Raises SchemaRefused too."""
        answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
        return _member(answer, "id", int)

    def incompatibilities(self, subject: str, schema: Mapping[str, Any]) -> list[str]:
        """Why a schema would be refused under a subject, by the compatibility that it asks for. Empty: it would not."""
        path = f"/compatibility/subjects/{subject}/versions/latest?verbose=true"
        try:
            answer = self._ask("POST", path, {"schema": json.dumps(schema)})
        except UnknownSchema:
            return []  # nothing is registered there, so there is nothing to be compatible with
        if _member(answer, "is_compatible", bool):
            return []
        return [str(message) for message in answer.get("messages") or ["the registry does not say why"]]

    def set_compatibility(self, subject: str, level: str) -> None:
        """What the subject asks of a new schema: `BACKWARD`, `FORWARD`, `FULL`, each also `…_TRANSITIVE`, or `NONE`."""
        self._ask("PUT", f"/config/{subject}", {"compatibility": level})

    def check(self) -> None:
        """Raises RegistryUnavailable unless the registry answers."""
        self._answer("GET", "/subjects")

    def close(self) -> None:
        self._http.close()

    def _fetch(self, schema_id: int) -> str | SchemaUnusable:
        if self._unknown.get(schema_id, 0.0) > self._monotonic():
            raise UnknownSchema(f"the schema registry knows no schema {schema_id}")
        try:
            answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        except UnknownSchema:
            self._remember_unknown(schema_id)
            raise UnknownSchema(f"the schema registry knows no schema {schema_id}") from None
        if answer.get("schemaType", "AVRO") != "AVRO":
            return SchemaUnusable(f"it is of the type {answer['schemaType']!r}; only AVRO is read")
        if answer.get("references"):
            return SchemaUnusable("it refers to other schemas; register it in one piece")
        return _member(answer, "schema", str)

    def _remember_unknown(self, schema_id: int) -> None:
        self._unknown[schema_id] = self._monotonic() + self._unknown_s
        self._unknown.move_to_end(schema_id)
        while len(self._unknown) > self._unknown_max:
            self._unknown.popitem(last=False)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = self._answer(method, path, body)
        if not isinstance(answer, dict):
            raise RegistryUnavailable(f"the schema registry answered {method} {path} with no object: {answer!r:.100}")
        return answer

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": _CONTENT_TYPE} if content else None
            with self._http.stream(method, self._url + path, content=content, headers=headers) as response:
                text = _bounded(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryUnavailable(f"the schema registry {self._shown_url} does not answer: {error!r}") from None
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if response.is_success and answer is not None:
            return answer
        raise self._failure(f"{method} {path}", response.status_code, answer, text)

    def _failure(self, what: str, status: int, answer: Any, text: bytes) -> InstrumentCacheError:
        """Only a registry's own "not found" counts as one: the 404 of a wrong address must not reject every record."""
        code = answer.get("error_code") if isinstance(answer, dict) else None
        if status == 404 and code in _NOT_FOUND:
            return UnknownSchema(str(answer.get("message")))
        if status in (409, 422):
            return SchemaRefused(f"the schema registry refuses {what}: {answer}")
        return RegistryUnavailable(
            f"the schema registry {self._shown_url} answered {what} with {status} {text[:100]!r}; see that "
            "ICACHE_SCHEMA_REGISTRY_URL is right, with its path and login"
        )

    @property
    def _shown_url(self) -> str:
        return re.sub(r"://[^@/]*@", "://***@", self._url)


def registry_of(env: Environment | None = None, timeout_s: float = 2.0) -> SchemaRegistry | None:
    """The registry that ICACHE_SCHEMA_REGISTRY_URL names, or None. Raises SettingsError if its file cannot be read."""
    env, name = env or environment(), "ICACHE_SCHEMA_REGISTRY_URL"
    is_set = env.variables.get(name) or env.variables.get(f"{name}_FILE")
    return SchemaRegistry(env.secret("ICACHE_SCHEMA_REGISTRY_URL"), timeout_s=timeout_s) if is_set else None


def _bounded(response: httpx.Response) -> bytes:
    text = b""
    for chunk in response.iter_bytes():
        text += chunk
        if len(text) > _ANSWER_BYTES_MAX:
            raise httpx.DecodingError(f"the answer is longer than {_ANSWER_BYTES_MAX} bytes", request=response.request)
    return text


def _member(answer: dict[str, Any], name: str, kind: type[_T]) -> _T:
    value = answer.get(name)
    if not isinstance(value, kind):
        raise RegistryUnavailable(f"the schema registry's answer has {name} {value!r}; it must be a {kind.__name__}")
    return value
