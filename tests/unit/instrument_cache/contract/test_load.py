"""A contract is read as a whole or refused with a sentence that names file, entry, value, rule and way out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.contract import Contract, VersionUnit, load_contract, load_contracts
from instrument_cache.contract.parse import IDENTIFIERS, parse
from instrument_cache.contract.rules import check
from instrument_cache.errors import ContractError
from instrument_cache.identifiers import check_for
from tests.unit.instrument_cache.contract.conftest import CONTRACTS, Edit, custom, document, field

Load = Callable[[Edit], Contract]


def test_says_everything_about_the_dataset() -> None:
    contract = load_contract(CONTRACTS / "issuers.yaml")
    assert (contract.dataset, contract.key.name, contract.key.identifier) == ("issuers", "lei", "lei")
    assert [kept.name for kept in contract.fields] == ["lei", "ticker", "name", "country", "status", "last_updated"]
    assert [(alias.prefix, alias.field.name) for alias in contract.aliases] == [("ticker", "ticker")]
    assert (contract.version_field.name, contract.version_unit) == ("last_updated", VersionUnit.MICROSECONDS)
    assert (contract.ttl_s, contract.tombstone_ttl_s, contract.replay_s_max) == (None, 8_640_000, 7_776_000)
    assert (contract.record_bytes_max, contract.version_ahead_s_max) == (16_384, 600)
    assert contract.redis_key("X") == "issuer:X"


def test_describes_fields_that_are_not_kept(contract: Contract) -> None:
    dropped = {described.name for described in contract.input_fields} - {kept.name for kept in contract.fields}
    assert {"sector", "summary"} <= dropped
    assert contract.input_fields[0] == contract.fields[0] == contract.key


def test_quality_rules_are_kept_as_data() -> None:
    rules = {rule.name: rule for rule in load_contract(CONTRACTS / "issuers.yaml").quality}
    assert rules["issuers_are_there"].expects == {"mustBeGreaterThan": 0}
    valid = rules["country_invalidValues"]
    assert (valid.field, valid.severity, valid.unit) == ("country", "warning", "percent")
    assert valid.arguments == {"pattern": "[A-Z]{2}"}


def test_the_longest_memory_says_why(contract: Contract) -> None:
    assert "longest replay" in contract.notes["tombstoneTtlSeconds"]


def test_every_identifier_that_a_contract_may_name_has_a_check(contract: Contract) -> None:
    from dataclasses import replace

    for name in IDENTIFIERS:
        assert check_for(replace(contract.key, identifier=name, pattern="x")) is not None


def _quality(rule: dict[str, object]) -> Edit:
    return lambda c: field(c, "name").update(quality=[rule])


BAD: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "no mapping": (lambda c: c.clear(), ("apiVersion",)),
    "another standard": (lambda c: c.update(apiVersion="v2.0.0"), ("'v2.0.0'", "v3.")),
    "another kind": (lambda c: c.update(kind="DataProduct"), ("'DataProduct'",)),
    "slip of the pen": (lambda c: c.update(verison="1.0.0"), ("'verison'", "did you mean 'version'?")),
    "no version": (lambda c: c.pop("version"), ("'version'",)),
    "version is a number": (lambda c: c.update(version=1.0), ("1.0", "quotes")),
    "version is not semantic": (lambda c: c.update(version="1.0"), ("'1.0'", "MAJOR.MINOR.PATCH")),
    "id that no topic takes": (lambda c: c.update(id="The Issuers"), ("'The Issuers'",)),
    "two schemas": (lambda c: c["schema"].append({}), ("2 entries",)),
    "unknown type": (lambda c: field(c, "name").update(logicalType="text"), ("'name'", "'text'", "'string'")),
    "no type": (lambda c: field(c, "name").pop("logicalType"), ("'name'", "'logicalType'")),
    "same field twice": (lambda c: field(c, "name").update(name="country"), ("same name",)),
    "field name that Avro refuses": (lambda c: field(c, "name").update(name="legal-name"), ("'legal-name'",)),
    "field of the stored version": (lambda c: field(c, "name").update(name="v"), ("'v'", "kept: false")),
    "required is a text": (lambda c: field(c, "name").update(required="yes"), ("'yes'", "true or false")),
    "option that nothing enforces": (
        lambda c: field(c, "name").update(logicalTypeOptions={"maxLength": 9}),
        ("'name'", "maxLength", "quality"),
    ),
    "pattern that nothing enforces": (
        lambda c: field(c, "name").update(logicalTypeOptions={"pattern": "x"}),
        ("'name'", "identifier: pattern"),
    ),
    "broken pattern": (
        lambda c: field(c, "ticker").update(logicalTypeOptions={"pattern": "["}),
        ("'ticker'", "'['", "regular expression"),
    ),
    "unknown identifier": (lambda c: custom(field(c, "lei"), "identifier", "isbn"), ("'lei'", "'isbn'", "'cusip'")),
    "identifier that is a number": (lambda c: custom(field(c, "last_updated"), "identifier", "lei"), ("no string",)),
    "unknown property": (lambda c: custom(field(c, "lei"), "identifer", "lei"), ("'identifer'", "'identifier'")),
    "two keys": (lambda c: field(c, "ticker").update(primaryKey=True), ("['lei', 'ticker']", "primaryKey")),
    "no key": (lambda c: field(c, "lei").pop("primaryKey"), ("primaryKey", "[]")),
    "key that may be absent": (lambda c: field(c, "lei").pop("required"), ("'lei'", "required: true")),
    "key that nothing checks": (lambda c: field(c, "lei").pop("customProperties"), ("'lei'", "identifier")),
    "key that is not kept": (lambda c: custom(field(c, "lei"), "kept", False), ("'lei'", "kept: false")),
    "key that may be empty": (
        lambda c: (
            custom(field(c, "lei"), "identifier", "pattern"),
            field(c, "lei").update(logicalTypeOptions={"pattern": ".*"}),
        ),
        ("'lei'", "'.*'", "empty"),
    ),
    "alias of the key itself": (lambda c: custom(field(c, "lei"), "alias", "entity"), ("'lei'", "alias")),
    "alias that is not kept": (lambda c: custom(field(c, "ticker"), "kept", False), ("'ticker'", "kept: false")),
    "alias with the key's prefix": (lambda c: custom(field(c, "ticker"), "alias", "issuer"), ("'issuer'", "twice")),
    "prefix of the product": (lambda c: custom(c, "keyPrefix", "count"), ("'count'", "'lock'")),
    "prefix with a colon": (lambda c: custom(c, "keyPrefix", "a:b"), ("'a:b'",)),
    "no version field": (
        lambda c: field(c, "last_updated").pop("customProperties"),
        ("exactly one", "the property version"),
    ),
    "version that is a text": (lambda c: field(c, "last_updated").update(logicalType="string"), ("no integer",)),
    "unknown unit": (
        lambda c: custom(field(c, "last_updated"), "version", "minutes"),
        ("'minutes'", "'milliseconds'", "'log position'"),
    ),
    "a life that counts from a log position": (
        lambda c: (custom(field(c, "last_updated"), "version", "log position"), custom(c, "ttlSeconds", 60)),
        ("ttlSeconds is 60", "log position", "null"),
    ),
    "tombstones that a replay outlives": (
        lambda c: custom(c, "tombstoneTtlSeconds", 3600),
        ("tombstoneTtlSeconds is 3600", "replaySecondsMax is 7776000", "raise"),
    ),
    "no replay limit": (
        lambda c: c.update(customProperties=[p for p in c["customProperties"] if p["property"] != "replaySecondsMax"]),
        ("replaySecondsMax",),
    ),
    "negative ttl": (lambda c: custom(c, "ttlSeconds", -1), ("ttlSeconds is -1", "above 0")),
    "limit is a text": (lambda c: custom(c, "recordBytesMax", "64k"), ("recordBytesMax is '64k'",)),
    "limit is true": (lambda c: custom(c, "recordBytesMax", True), ("recordBytesMax is True",)),
    "kept for a day and more": (
        lambda c: custom(c, "httpMaxAgeSeconds", 86_401),
        ("httpMaxAgeSeconds is 86401", "86400"),
    ),
    "kept for less than no time": (lambda c: custom(c, "httpMaxAgeSeconds", -1), ("httpMaxAgeSeconds is -1",)),
    "limit beyond Kafka": (lambda c: custom(c, "recordBytesMax", 10**9), ("recordBytesMax is 1000000000", "16777216")),
    "custom property twice": (
        lambda c: c["customProperties"].append({"property": "keyPrefix", "value": "x"}),
        ("'keyPrefix'", "twice"),
    ),
    "quality without severity": (
        _quality({"metric": "nullValues", "mustBe": 0}),
        ("rule 1 of field 'name'", "severity"),
    ),
    "quality of unknown metric": (
        _quality({"type": "library", "metric": "median", "mustBe": 0, "severity": "error"}),
        ("'median'", "'nullValues'"),
    ),
    "quality without a bound": (_quality({"metric": "nullValues", "severity": "error"}), ("exactly one", "'mustBe'")),
    "quality with half a range": (
        _quality({"metric": "rowCount", "mustBeBetween": [1], "severity": "error"}),
        ("[1]", "[low, high]"),
    ),
    "quality bound is a text": (
        _quality({"metric": "rowCount", "mustBe": "1", "severity": "error"}),
        ("mustBe '1'", "a number"),
    ),
    "sql without a query": (_quality({"type": "sql", "mustBe": 0, "severity": "error"}), ("'sql'", "'query'")),
}


@pytest.mark.parametrize(("edit", "says"), BAD.values(), ids=BAD.keys())
def test_a_contradiction_is_refused_with_its_place_and_the_way_out(
    write: Callable[[Edit], Path], edit: Edit, says: tuple[str, ...]
) -> None:
    path = write(edit)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert str(path) in str(caught.value)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "mapping"),
        ("a: [", "not YAML"),
        ("\x00", "not YAML"),
        ("id: a\nid: b", "'id'"),
        ("[" * 5000, "not YAML"),
    ],
    ids=["a list", "broken", "a zero byte", "an entry twice", "deep"],
)
def test_text_that_is_no_contract_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ContractError) as caught:
        load_contract(tmp_path / "x.yaml")
    assert says in str(caught.value)
    assert "x.yaml" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"id: \xff\xfe")
    with pytest.raises(ContractError):
        load_contract(tmp_path / "x.yaml")


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every entry of a document."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in entries:
        yield (*path, name)
        yield from _places(child, (*path, name))


junk = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "[", [], [1], {}, {"x": 1}, [{"property": []}]])


@given(place=st.sampled_from(list(_places(document()))), value=junk)
def test_nothing_in_the_place_of_an_entry_raises_anything_else(place: tuple[Any, ...], value: object) -> None:
    contract = document()
    node: Any = contract
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    with suppress(ContractError):
        check(parse(contract))


def test_a_folder_is_read_as_a_whole() -> None:
    assert list(load_contracts(CONTRACTS)) == ["instruments", "issuers"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda c: custom(c, "keyPrefix", "instr"), "prefix 'instr'"),
        (lambda c: custom(c, "keyPrefix", "pme"), "prefix 'pme'"),
        (lambda c: custom(field(c, "ticker"), "alias", "pme"), "prefix 'pme'"),
        (lambda c: c.update(id="instruments"), "dataset id 'instruments'"),
        (lambda c: c.update(id="parties"), "parties.yaml"),
    ],
    ids=["key prefix", "key prefix of an alias", "alias prefix", "dataset id", "file of another name"],
)
def test_two_datasets_that_would_meet_are_refused(write: Callable[[Edit], Path], edit: Edit, says: str) -> None:
    folder = write(edit).parent
    shutil.copy(CONTRACTS / "instruments.yaml", folder)
    with pytest.raises(ContractError) as caught:
        load_contracts(folder)
    assert says in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError):
        load_contracts(tmp_path)
