"""What a contract must not contradict. Each error names the entry, its value, the rule and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from instrument_cache.contract.contradictions import check_quality
from instrument_cache.contract.model import Contract, Field
from instrument_cache.errors import ContractError

# Redis keys of the product's own begin so: `count:{dataset}` and the like.
RESERVED_PREFIXES: Final = ("account", "alarm", "canary", "count", "lag", "lock")
RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
HTTP_MAX_AGE_S_MAX: Final = 86_400
_DATASET: Final = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SEMANTIC_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check(contract: Contract) -> None:
    """Raises ContractError for the first contradiction."""
    for rule in _RULES:
        rule(contract)


def _names(contract: Contract) -> None:
    if not _DATASET.fullmatch(contract.dataset):
        raise ContractError(
            f"id is {contract.dataset!r}; it must match {_DATASET.pattern}, because topics and Redis keys are named so"
        )
    if not _SEMANTIC_VERSION.fullmatch(contract.version):
        raise ContractError(f"version is {contract.version!r}; it must be three numbers, MAJOR.MINOR.PATCH")
    for field in contract.input_fields:
        if not _FIELD.fullmatch(field.name):
            raise ContractError(f"field {field.name!r} must match {_FIELD.pattern}, as JSON and Avro both take")
        if field.name == "v" and field.kept:
            raise ContractError("field 'v' has the name of the stored version; give it another name or kept: false")


def _key(contract: Contract) -> None:
    key = contract.key
    _must_identify(key, "the key")
    if not key.required:
        raise ContractError(f"field {key.name!r} is the key and not required; set required: true")
    if key.pattern is not None and re.fullmatch(key.pattern, "", re.ASCII):
        raise ContractError(f"field {key.name!r}: pattern {key.pattern!r} matches the empty text, which is no key")


def _aliases(contract: Contract) -> None:
    for alias in contract.aliases:
        if alias.field == contract.key:
            raise ContractError(f"field {alias.field.name!r} is the key and an alias of it; remove the alias")
        _must_identify(alias.field, f"the alias {alias.prefix!r}")


def _must_identify(field: Field, what: str) -> None:
    if field.type is not str:
        raise ContractError(f"field {field.name!r} is {what} and no string; identifiers are texts")
    if not field.kept:
        raise ContractError(f"field {field.name!r} is {what} and kept: false; what is not kept cannot be looked up")
    if field.identifier is None:
        raise ContractError(
            f"field {field.name!r} is {what} and has no identifier; without a check it may be empty or of any length: "
            "set the property identifier"
        )


def _identifiers(contract: Contract) -> None:
    for field in contract.input_fields:
        if field.identifier is not None and field.type is not str:
            raise ContractError(f"field {field.name!r} has identifier {field.identifier!r} and is no string")
        if field.pattern is not None:
            _check_pattern(field.name, field.pattern)


def _check_pattern(name: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ContractError(f"field {name!r}: pattern {pattern!r} is no regular expression: {error}") from None


def _prefixes(contract: Contract) -> None:
    seen: set[str] = set()
    for prefix in (contract.key_prefix, *(alias.prefix for alias in contract.aliases)):
        if not _PREFIX.fullmatch(prefix):
            raise ContractError(f"prefix {prefix!r} must match {_PREFIX.pattern}: Redis keys are PREFIX:ID")
        if prefix in RESERVED_PREFIXES:
            raise ContractError(f"prefix {prefix!r} is the product's own; choose none of {list(RESERVED_PREFIXES)}")
        if prefix in seen:
            raise ContractError(f"prefix {prefix!r} stands there twice; a key and each alias need one of their own")
        seen.add(prefix)


def _version(contract: Contract) -> None:
    field = contract.version_field
    if field.type is not int:
        raise ContractError(f"field {field.name!r} is the version and no integer; a version is a whole number")
    if not field.kept:
        raise ContractError(f"field {field.name!r} is the version and kept: false; remove kept: false")
    if contract.ttl_s is not None and not contract.version_unit.is_time:
        raise ContractError(
            f"ttlSeconds is {contract.ttl_s} and the version is a {contract.version_unit.value}: a life counts from "
            "the version, which is no time here; set ttlSeconds to null or version the records by a time"
        )


def _times(contract: Contract) -> None:
    if contract.tombstone_ttl_s < contract.replay_s_max:
        raise ContractError(
            f"tombstoneTtlSeconds is {contract.tombstone_ttl_s} and replaySecondsMax is {contract.replay_s_max}: a "
            "replay that reaches back further than a deletion is remembered brings deleted records to life; raise "
            "tombstoneTtlSeconds or lower replaySecondsMax"
        )


def _limits(contract: Contract) -> None:
    if contract.record_bytes_max > RECORD_BYTES_MAX:
        raise ContractError(
            f"recordBytesMax is {contract.record_bytes_max}; it must be at most {RECORD_BYTES_MAX}, which Kafka carries"
        )
    if contract.http_max_age_s > HTTP_MAX_AGE_S_MAX:
        raise ContractError(
            f"httpMaxAgeSeconds is {contract.http_max_age_s}; it must be at most {HTTP_MAX_AGE_S_MAX}: until then a "
            "caller does not learn of changes"
        )


_RULES: Final[tuple[Callable[[Contract], None], ...]] = (
    _names,
    _identifiers,
    _key,
    _aliases,
    _prefixes,
    _version,
    _times,
    _limits,
    check_quality,
)
