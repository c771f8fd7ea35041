"""Each planted fault is caught under its name, with the record that has it, and nothing else is called a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from instrument_cache.contract import Contract, QualityRule
from instrument_cache.quality.model import Checked, Profile
from local_stack.synthetic import synthetic_cusip
from tests.unit.quality.conftest import ROWS, Data, broken

Plant = Callable[[Data], object]


def stricter(contract: Contract) -> Contract:
    """The instruments' contract with rules of the kinds that it does not have."""
    rules = [
        ("currency_known", "currency", "invalidValues", {"validValues": ["USD", "EUR", "GBP", "JPY", "CHF", "CAD"]}),
        ("name_length", "name", "invalidValues", {"minLength": 3, "maxLength": 80}),
        ("updated_range", "last_updated", "invalidValues", {"minimum": 10**15, "maximum": 2 * 10**15}),
        ("symbol_there", "symbol", "missingValues", {"missingValues": ["N/A"]}),
    ]
    more = [
        QualityRule(name, field, "library", "critical", metric, expects={"mustBe": 0}, arguments=arguments)
        for name, field, metric, arguments in rules
    ]
    return replace(contract, quality=(*contract.quality, *more))


def several(count: int, **members: Any) -> Plant:
    def plant(data: Data) -> None:
        for number in range(count):
            data.edit(number, **members)

    return plant


def bytes_of(number: int, value: bytes) -> Plant:
    return lambda data: data.cache.update({data.key(number): value})


def broken_json(data: Data) -> None:
    data.cache[data.key(7)] = data.cache[data.key(7)][:-1]


def not_a_number(data: Data) -> None:
    data.cache[data.key(7)] = data.cache[data.key(7)].replace(b'"symbol":"SYN7"', b'"symbol":NaN')


def twice(data: Data) -> None:
    data.edit(7, cusip=synthetic_cusip(8))


def misplaced(data: Data) -> None:
    """Under the key of an instrument that is not there."""
    data.cache[data.key(ROWS + 1)] = data.cache.pop(data.key(7))


def fewer(data: Data) -> None:
    for number in range(0, ROWS, 5):
        del data.cache[data.key(number)]


def week_later(data: Data) -> None:
    data.clock.advance(7 * 86_400 + 1)


# Fault → (how it is planted, the rules that must be broken by it and no others).
CACHE_FAULTS: dict[str, tuple[Plant, set[str]]] = {
    "a wrong check digit": (
        lambda data: data.cache.update(
            {"instr:037833101": data.cache.pop(data.key(7)).replace(synthetic_cusip(7).encode(), b"037833101")}
        ),
        {"cusip_valid"},
    ),
    "a key that is too short": (
        lambda data: data.cache.update(
            {"instr:0378331": data.cache.pop(data.key(7)).replace(synthetic_cusip(7).encode(), b"0378331")}
        ),
        {"cusip_valid"},
    ),
    "many wrong keys": (
        several(11, cusip="x"),
        {"cusip_valid", "cusip_mostly_valid", "misplacedRecords", "cusip_duplicateValues"},
    ),
    "a record without a key": (several(1, cusip=None), {"cusip_nullValues_implied"}),
    "a key that is there twice": (twice, {"cusip_duplicateValues", "misplacedRecords"}),
    "a record under another key": (misplaced, {"misplacedRecords"}),
    "an alias of two records": (lambda data: data.edit(7, pme="PME000000008"), {"pme_duplicateValues"}),
    "an alias with a space": (lambda data: data.edit(7, pme="PME 7"), {"pme_invalidValues_implied"}),
    "an alias that is not ASCII": (lambda data: data.edit(7, pme="PMÉ"), {"pme_invalidValues_implied"}),
    "a number for a text": (lambda data: data.edit(7, symbol=12), {"symbol_invalidValues_implied"}),
    "an object for a text": (lambda data: data.edit(7, isin={"a": 1}), {"isin_invalidValues_implied"}),
    "NaN": (not_a_number, {"symbol_invalidValues_implied"}),
    "a text for a number": (lambda data: data.edit(7, last_updated="now"), {"last_updated_invalidValues_implied"}),
    "a truth for a number": (lambda data: data.edit(7, last_updated=True), {"last_updated_invalidValues_implied"}),
    "cut JSON": (broken_json, {"unreadableRecords"}),
    "bytes of another program": (bytes_of(7, b"\xff\xfe"), {"unreadableRecords"}),
    "JSON that is no record": (bytes_of(7, b"[1, 2]"), {"unreadableRecords"}),
    "currencies in lower case": (several(11, currency="usd"), {"currency_invalidValues", "currency_known"}),
    "a currency that is not allowed": (lambda data: data.edit(7, currency="XXX"), {"currency_known"}),
    "names that are empty": (several(60, name=None), {"name_nullValues"}),
    "a name that is too long": (lambda data: data.edit(7, name="x" * 81), {"name_length"}),
    "a name that is too short": (lambda data: data.edit(7, name="x"), {"name_length"}),
    "a number out of its range": (lambda data: data.edit(7, last_updated=3), {"updated_range"}),
    "a word for nothing": (lambda data: data.edit(7, symbol="N/A"), {"symbol_there"}),
    "an empty cache": (lambda data: data.cache.clear(), {"instruments_are_there"}),
    "no change for a week": (week_later, {"instruments_are_fresh"}),
}
# Faults that only show against the last good run.
DRIFTS: dict[str, tuple[Plant, set[str]]] = {
    "a fifth of the records gone": (fewer, {"volume_is_steady"}),
    "a field that becomes empty": (several(ROWS // 2, figi=None), {"nulls_are_steady"}),
    "one value pushes out the others": (several(ROWS, currency="USD"), {"distributions_are_steady"}),
    "names of another length": (several(ROWS, name="Synthetic"), {"distributions_are_steady"}),
}
SOURCE_FAULTS: dict[str, tuple[Plant, set[str]]] = {
    "a wrong check digit": (lambda data: data.edit_row(7, cusip="037833101"), {"cusip_valid"}),
    "a row without a key": (lambda data: data.edit_row(7, cusip=None), {"cusip_nullValues_implied"}),
    "no JSON": (lambda data: data.rows.append(b"cusip;name"), {"unreadableRecords"}),
    "an alias of two rows": (lambda data: data.edit_row(7, pme="PME000000008"), {"pme_duplicateValues"}),
    "a wrong type": (lambda data: data.edit_row(7, name=[1]), {"name_invalidValues_implied"}),
}


@pytest.fixture(scope="module")
def clean(contract: Contract) -> tuple[Checked, Checked]:
    """Cache and source without a fault."""
    data = Data(stricter(contract))
    return data.check_cache(), data.check_source()


@pytest.fixture
def data(contract: Contract) -> Data:
    return Data(stricter(contract))


def cases(faults: dict[str, tuple[Plant, set[str]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("plant", "rules"), faults.values(), ids=faults.keys())


def test_clean_data_has_no_fault(clean: tuple[Checked, Checked]) -> None:
    for checked in clean:
        assert (broken(checked), checked.profile.rows, checked.is_good) == (set(), ROWS, True)


def test_clean_data_has_not_drifted_from_clean_data(data: Data, clean: tuple[Checked, Checked]) -> None:
    again = data.check_cache(clean[0].profile)
    assert broken(again) == set()
    assert all(finding.judged for finding in again.findings)


@cases(CACHE_FAULTS)
def test_a_fault_of_the_cache_is_named(data: Data, plant: Plant, rules: set[str]) -> None:
    plant(data)
    assert broken(data.check_cache()) == rules


@cases(DRIFTS)
def test_a_drift_is_named(data: Data, clean: tuple[Checked, Checked], plant: Plant, rules: set[str]) -> None:
    plant(data)
    found = data.check_cache(clean[0].profile)
    assert broken(found) == rules


@cases(SOURCE_FAULTS)
def test_a_fault_of_the_source_is_named(data: Data, plant: Plant, rules: set[str]) -> None:
    plant(data)
    assert broken(data.check_source()) == rules


def test_a_finding_has_the_record_and_the_expectation(data: Data) -> None:
    data.edit(7, pme="PME 7")
    [finding] = data.check_cache().broken()
    assert [(sample.place, sample.value) for sample in finding.samples] == [(data.key(7), "PME 7")]
    assert [evaluated.type for evaluated in finding.expectations] == ["expect_column_values_to_be_of_contract_type"]
    assert (finding.severity, finding.expects, finding.observed, finding.looked) == ("error", "mustBe 0", 1.0, ROWS)


def test_ten_samples_are_kept_of_many(data: Data) -> None:
    several(40, pme="a b")(data)
    found = {finding.rule: finding for finding in data.check_cache().broken()}
    assert found["pme_invalidValues_implied"].observed == 40
    assert len(found["pme_invalidValues_implied"].samples) == 10


def test_there_is_nothing_to_measure_against_at_first(clean: tuple[Checked, Checked]) -> None:
    unjudged = {finding.rule for finding in clean[0].findings if not finding.judged}
    assert unjudged == {"volume_is_steady", "nulls_are_steady", "distributions_are_steady"}


def test_a_sample_is_always_of_the_same_records(data: Data) -> None:
    one, other = data.check_cache(sample_percent=40), data.check_cache(sample_percent=40)
    assert one.profile == other.profile
    assert ROWS * 0.25 < one.profile.looked < ROWS * 0.55
    assert one.profile.rows == ROWS


def test_few_rows_do_not_drift_by_chance(contract: Contract) -> None:
    small = Data(contract, rows=20)
    before = small.check_cache().profile
    several(20, currency="USD")(small)
    assert broken(small.check_cache(before)) == set()
    assert isinstance(before, Profile)
