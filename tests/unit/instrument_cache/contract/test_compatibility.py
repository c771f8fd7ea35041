"""Whom a change of a contract breaks, told by the field, with a way out; and what version it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.avro import AvroChangeDecoder, encode_change
from instrument_cache.avro_compatibility import Mismatch, mismatches
from instrument_cache.avro_schema import envelope_schema
from instrument_cache.contract import Contract, Field, load_contract
from instrument_cache.contract.compatibility import compare
from instrument_cache.contract.releases import needed_version, release_problems
from instrument_cache.errors import RejectedChange
from tests.unit.instrument_cache.contract.conftest import CONTRACTS, Edit, custom, field

V = 1_763_674_000_123_456
Load = Callable[[Edit], Contract]
READERS, WRITERS, BOTH, NOBODY = "breaks readers", "breaks writers", "breaks readers and writers", "compatible"


@pytest.fixture(scope="module")
def issuers() -> Contract:
    return load_contract(CONTRACTS / "issuers.yaml")


def _properties(contract: dict[str, object]) -> list[dict[str, object]]:
    return contract["schema"][0]["properties"]  # type: ignore[index,no-any-return]


def _remove(name: str) -> Edit:
    return lambda c: _properties(c).remove(field(c, name))


def _add(**entry: object) -> Edit:
    return lambda c: _properties(c).append({"logicalType": "string", **entry})


def _change_key(contract: dict[str, object]) -> None:
    field(contract, "lei").pop("primaryKey")
    field(contract, "ticker").update(primaryKey=True, required=True)
    custom(field(contract, "ticker"), "alias", None)


CHANGES: dict[str, tuple[Edit, str, str, str]] = {
    "field removed": (_remove("status"), "status", READERS, "removed"),
    "field no longer kept": (lambda c: custom(field(c, "status"), "kept", False), "status", READERS, "removed"),
    "field renamed": (lambda c: field(c, "country").update(name="country_code"), "country", BOTH, "'country_code'"),
    "field renamed beyond likeness": (lambda c: field(c, "country").update(name="seat"), "country", BOTH, "'seat'"),
    "type changed": (lambda c: field(c, "status").update(logicalType="integer"), "status", BOTH, "it is integer"),
    "number widened": (lambda c: _grow(c), "employees", READERS, "integer, it is number"),
    "required field added": (_add(name="rating", required=True), "rating", WRITERS, "required"),
    "optional field added": (_add(name="rating"), "rating", NOBODY, "optional"),
    "field becomes required": (lambda c: field(c, "name").update(required=True), "name", WRITERS, "required"),
    "key changed": (_change_key, "ticker", BOTH, "the key was 'lei'"),
    "prefix changed": (lambda c: custom(c, "keyPrefix", "party"), "keyPrefix", READERS, "'party'"),
    "alias removed": (lambda c: field(c, "ticker")["customProperties"].pop(), "ticker", READERS, "alias 'ticker'"),
    "alias of another prefix": (lambda c: custom(field(c, "ticker"), "alias", "t"), "ticker", READERS, "became 't'"),
    "alias added": (_add(**{
        "name": "duns", "logicalTypeOptions": {"pattern": "[0-9]{9}"},
        "customProperties": [{"property": "identifier", "value": "pattern"}, {"property": "alias", "value": "duns"}],
    }), "duns", NOBODY, "alias 'duns'"),
    "version unit": (lambda c: custom(field(c, "last_updated"), "version", "seconds"), "last_updated", BOTH, "seconds"),
    "records live shorter": (lambda c: custom(c, "ttlSeconds", 60), "ttlSeconds", READERS, "60 s"),
    "tombstones live shorter": (
        lambda c: custom(c, "tombstoneTtlSeconds", 8_000_000), "tombstoneTtlSeconds", READERS, "8000000",
    ),
    "tombstones live longer": (
        lambda c: custom(c, "tombstoneTtlSeconds", 9_000_000), "tombstoneTtlSeconds", NOBODY, "9000000",
    ),
    "records must be smaller": (lambda c: custom(c, "recordBytesMax", 99), "recordBytesMax", WRITERS, "99"),
    "answers are kept longer": (lambda c: custom(c, "httpMaxAgeSeconds", 5), "httpMaxAgeSeconds", NOBODY, "0 became 5"),
    "clocks must be better": (lambda c: custom(c, "versionAheadSecondsMax", 1), "versionAheadSecondsMax", WRITERS, "1"),
    "identifier tightened": (lambda c: custom(field(c, "status"), "identifier", "isin"), "status", WRITERS, "isin"),
    "pattern changed": (
        lambda c: field(c, "ticker").update(logicalTypeOptions={"pattern": "[A-Z]{4}"}), "ticker", BOTH, "[A-Z]{4}",
    ),
    "fields in another order": (lambda c: _properties(c).reverse(), "properties", NOBODY, "order"),
    "quality rule removed": (lambda c: field(c, "name").pop("quality"), "quality name_nullValues", NOBODY, "removed"),
}  # fmt: skip


def _grow(contract: dict[str, object]) -> None:
    _properties(contract).append({"name": "employees", "logicalType": "number"})


@pytest.mark.parametrize(("edit", "entry", "verdict", "what"), CHANGES.values(), ids=CHANGES.keys())
def test_names_the_field_whom_it_breaks_and_the_way_out(
    load: Load, issuers: Contract, edit: Edit, entry: str, verdict: str, what: str
) -> None:
    old = replace(issuers, fields=(*issuers.fields, Field("employees", int))) if entry == "employees" else issuers
    found = [change for change in compare(old, load(edit)) if change.entry == entry and what in change.what]
    assert [change.verdict for change in found] == [verdict]
    assert bool(found[0].fix) == (verdict != NOBODY)


def test_a_contract_is_compatible_with_itself_and_with_other_words(load: Load, issuers: Contract) -> None:
    assert compare(issuers, issuers) == []
    assert compare(issuers, load(lambda c: field(c, "name").update(description="The name in the register."))) == []


def test_what_is_not_kept_breaks_nobody(load: Load, issuers: Contract) -> None:
    edit = _add(name="rating", customProperties=[{"property": "kept", "value": False}])
    assert compare(issuers, load(edit)) == []


@pytest.mark.parametrize(
    ("edit", "needed"),
    [(_remove("status"), (2, 0, 0)), (_add(name="rating"), (1, 1, 0)), (lambda c: None, (1, 0, 0))],
    ids=["a break", "an addition", "nothing"],
)
def test_the_version_that_a_change_takes(
    load: Load, issuers: Contract, edit: Edit, needed: tuple[int, int, int]
) -> None:
    assert needed_version((1, 0, 0), compare(issuers, load(edit))) == needed


def _versioned(edit: Edit, version: str) -> Edit:
    return lambda c: (edit(c), c.update(version=version))


RELEASES: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "as released": (_versioned(lambda c: None, "1.0.0"), ()),
    "changed under the released version": (_versioned(_add(name="rating"), "1.0.0"), ("rating", "1.1.0")),
    "broken under a minor version": (
        _versioned(_remove("status"), "1.1.0"),
        ("status", "breaks readers", "keep", "2.0.0"),
    ),
    "not released yet": (_versioned(_add(name="rating"), "1.1.0"), ("released/issuers/1.1.0.yaml",)),
    "older than what is out": (_versioned(lambda c: None, "0.9.0"), ("0.9.0", "1.0.0", "only grow")),
}


@pytest.mark.parametrize(("edit", "says"), RELEASES.values(), ids=RELEASES.keys())
def test_a_change_without_its_version_is_told(load: Load, issuers: Contract, edit: Edit, says: tuple[str, ...]) -> None:
    problems = release_problems(load(edit), {(1, 0, 0): replace(issuers, version="1.0.0")})
    assert bool(problems) == bool(says)
    for part in says:
        assert part in "\n".join(problems)


names = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True)
kinds = st.sampled_from([str, int, float, bool])
VALUES: dict[type, object] = {str: "x", int: 7, float: 0.5, bool: True}


@st.composite
def fields(draw: st.DrawFn) -> tuple[Field, ...]:
    return tuple(Field(name, draw(kinds)) for name in draw(names))


@given(old=fields(), new=fields())
def test_what_is_called_compatible_can_be_read_and_what_is_not_cannot(
    issuers: Contract, old: tuple[Field, ...], new: tuple[Field, ...]
) -> None:
    writer, reader = envelope_schema(replace(issuers, fields=old)), replace(issuers, fields=new)
    wrong = mismatches(envelope_schema(reader), writer)
    source = {"name": "", "position": 0, "timestamp": V, "received_at": V}
    record = {field.name: VALUES[field.type] for field in old}
    value = encode_change(1, writer, {"op": "put", "version": V, "source": source, "record": record})
    decoder = AvroChangeDecoder(reader, type("Registry", (), {"schema": lambda self, _: json.dumps(writer)})())
    if wrong:
        with pytest.raises(RejectedChange):
            decoder.decode(value)
    else:
        read = decoder.decode(value)["record"]
        assert read == {field.name: record.get(field.name) for field in new}


def _enum(*symbols: str) -> dict[str, object]:
    return {"type": "enum", "name": "E", "symbols": list(symbols)}


RESOLUTIONS = {
    "promotion": ("double", "int", []),
    "demotion": ("int", "long", [Mismatch("", "long is written and int is read")]),
    "a union that has it": (["null", "long"], "int", []),
    "a union that lacks it": (["null", "long"], "string", [Mismatch("", "string is written and null or long is read")]),
    "a union where one is read": ("string", ["null", "string"], [Mismatch("", "null is written and string is read")]),
    "a new symbol": (_enum("put"), _enum("put", "zap"), [Mismatch("", "the symbols ['zap'] are not known")]),
    "a symbol less": (_enum("put", "zap"), _enum("put"), []),
    "items": ({"type": "array", "items": "string"}, {"type": "array", "items": "boolean"}, [
        Mismatch("[]", "boolean is written and string is read")
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("reader", "writer", "expected"), RESOLUTIONS.values(), ids=RESOLUTIONS.keys())
def test_avro_s_rules_of_resolution(reader: object, writer: object, expected: list[Mismatch]) -> None:
    assert mismatches(reader, writer) == expected
