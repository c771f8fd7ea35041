"""Bad input through the kernel: each kind is rejected with its code, writes nothing, and harms no neighbour."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.store.memory import MemoryStore

V = 1_763_674_000_123_456
APPLE, MICROSOFT = "037833100", "594918104"
GOOD = b'{"op":"put","version":%d,"record":{"cusip":"%b","name":"?"}}' % (V, APPLE.encode())


def put(record: object, version: object = V, op: object = "put") -> bytes:
    return json.dumps({"op": op, "version": version, "record": record}).encode()


REJECTED = {
    "empty value": (b"", "malformed_json"),
    "white space": (b"  \n ", "malformed_json"),
    **{f"cut off at byte {at}": (GOOD[:at], "malformed_json") for at in (1, 9, 20, len(GOOD) // 2, len(GOOD) - 1)},
    "something after it": (GOOD + b"{}", "malformed_json"),
    "two records": (GOOD + b"\n" + GOOD, "malformed_json"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "malformed_json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "malformed_json"),
    "deep lists": (GOOD.replace(b'"?"', b'"?","x":' + b"[" * 30_000 + b"]" * 30_000), "too_deep"),
    "deep objects": (GOOD.replace(b'"?"', b'"?","x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "too_deep"),
    "deep and cut off": (b"[" * 60_000, "invalid_record"),
    "NaN": (GOOD.replace(b'"?"', b"NaN"), "malformed_json"),
    "Infinity in an unknown field": (GOOD.replace(b'"?"', b'"?","x":-Infinity'), "malformed_json"),
    "lone surrogate": (GOOD.replace(b"?", rb"\ud83d"), "malformed_json"),
    "surrogates in the wrong order": (GOOD.replace(b"?", rb"\ude00\ud83d"), "malformed_json"),
    "bad UTF-8": (GOOD.replace(b"?", b"\xff\xfe"), "malformed_json"),
    "overlong UTF-8": (GOOD.replace(b"?", b"\xc0\xaf"), "malformed_json"),
    "surrogate as UTF-8": (GOOD.replace(b"?", b"\xed\xa0\x80"), "malformed_json"),
    "control character": (GOOD.replace(b"?", b"\x01"), "malformed_json"),
    "10 MB value": (GOOD.replace(b"?", b"x" * 10_000_000), "too_large"),
    "10 MB of nothing": (b"\0" * 10_000_000, "too_large"),
    "empty key": (put({"cusip": ""}), "invalid_cusip"),
    "key of spaces": (put({"cusip": " " * 9}), "invalid_cusip"),
    "key with a line break": (put({"cusip": APPLE + "\n"}), "invalid_cusip"),
    "null key": (put({"cusip": None}), "missing_key"),
    "no key": (put({"name": "x"}), "missing_key"),
    "key is a list": (put({"cusip": [APPLE]}), "invalid_record"),
    "duplicate key, the last one wrong": (GOOD.replace(b'"name"', b'"cusip":"037833101","name"'), "invalid_cusip"),
    "record is null": (put(None), "invalid_record"),
    "record is a text": (put(APPLE), "invalid_record"),
    "a JSON null": (b"null", "invalid_record"),
    "a number": (b"17", "invalid_record"),
    "op is unknown": (put({"cusip": APPLE}, op="upsert"), "unknown_op"),
    "op is null": (put({"cusip": APPLE}, op=None), "invalid_record"),
    "version is null": (put({"cusip": APPLE}, None), "invalid_version"),
    "version is a boolean": (put({"cusip": APPLE}, True), "invalid_version"),
    "version in milliseconds": (put({"cusip": APPLE}, V // 1000), "invalid_version"),
    "version of a hundred digits": (put({"cusip": APPLE}, 10**100), "invalid_version"),
    "version in the far future": (put({"cusip": APPLE}, 9_999_999_999_999_999), "version_in_future"),
    "version one step beyond the margin": (put({"cusip": APPLE}, V + 600_000_001), "version_in_future"),
    "delete with a wrong check digit": (put({"cusip": "037833101"}, op="delete"), "invalid_cusip"),
    "delete without a key": (put({}, op="delete"), "missing_key"),
}
ACCEPTED = {
    "fields of the future": GOOD.replace(b'"?"', b'"?","rating":{"agency":["A",1.5e300,null]}'),
    "members of the future around the record": b'{"schema":7,' + GOOD[1:],
    "duplicate key, the last one right": GOOD.replace(b'"cusip"', b'"cusip":"037833101","cusip"'),
    "a clock five minutes fast": GOOD.replace(b"%d" % V, b"%d" % (V + 300_000_000)),
    "a clock at the margin": GOOD.replace(b"%d" % V, b"%d" % (V + 600_000_000)),
    "a clock five minutes slow": GOOD.replace(b"%d" % V, b"%d" % (V - 300_000_000)),
    "surrogates in pairs": GOOD.replace(b"?", rb"\ud83d\ude00"),
    "an escaped zero": GOOD.replace(b"?", rb"\u0000"),
}


class Kernel:
    """A batch applier on the in-memory store, at a time that stands still. Values come from one partition."""

    def __init__(self, contract: Contract) -> None:
        clock = FakeClock(V)
        self.store = MemoryStore(clock)
        self._applier = BatchApplier(contract, self.store, ChangeDecoder(contract, clock))
        self._offset = 0

    def apply(self, values: list[bytes | None]) -> dict[int, str]:
        """Position → code of the rejected ones."""
        offsets = range(self._offset, self._offset + len(values))
        self._offset += len(values)
        rejected = self._applier.apply(values, [0] * len(values), offsets)
        return {at: reason.partition(":")[0] for at, reason in rejected.items()}

    def held(self) -> dict[str, bytes]:
        return {**dict(self.store.scan("instr")), **dict(self.store.scan("pme"))}


@pytest.fixture
def kernel(contract: Contract) -> Kernel:
    return Kernel(contract)


@pytest.mark.parametrize(("value", "code"), REJECTED.values(), ids=REJECTED.keys())
def test_a_bad_value_is_rejected_with_its_code_and_its_neighbours_are_applied(
    kernel: Kernel, value: bytes, code: str
) -> None:
    assert kernel.apply([GOOD, value, put({"cusip": MICROSOFT})]) == {1: code}
    assert kernel.held().keys() == {f"instr:{APPLE}", f"instr:{MICROSOFT}"}
    assert json.loads(kernel.held()[f"instr:{APPLE}"])["name"] == "?"


@pytest.mark.parametrize("value", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_only_unusual_is_applied(kernel: Kernel, value: bytes) -> None:
    assert kernel.apply([value]) == {}
    held = kernel.held()
    assert held.keys() == {f"instr:{APPLE}"}
    json.loads(held[f"instr:{APPLE}"])


def test_a_null_value_is_no_reject_and_changes_nothing(kernel: Kernel) -> None:
    kernel.apply([GOOD])
    before = kernel.held()
    assert kernel.apply([None, None]) == {}
    assert kernel.held() == before
    assert kernel.store.counters()["duplicate"] == 2


def test_a_batch_that_is_wholly_bad_does_not_touch_the_cache(kernel: Kernel) -> None:
    kernel.apply([GOOD, put({"cusip": MICROSOFT, "pme": "P-1"})])
    before = kernel.held()
    bad = [value for value, _ in REJECTED.values()]
    assert len(kernel.apply([*bad, *bad])) == 2 * len(bad)
    assert kernel.held() == before
    assert kernel.store.counters()["rejected"] == 2 * len(bad)


def test_a_version_in_the_future_does_not_block_its_key(kernel: Kernel) -> None:
    kernel.apply([put({"cusip": APPLE, "name": "tomorrow"}, V + 86_400_000_000)])
    kernel.apply([put({"cusip": APPLE, "name": "today"}, V)])
    assert json.loads(kernel.held()[f"instr:{APPLE}"])["name"] == "today"


def mutated(value: bytes, seed: int) -> bytes:
    """The value with a few bytes replaced, removed, doubled or swapped for others that JSON cares about."""
    chance, mutable = random.Random(seed), bytearray(value)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(mutable))
        new = chance.choice([b"", bytes([chance.randrange(256)]), b'"', b"}", b"null", b"\\u0000", b"1e999", b"-"])
        mutable[at : at + chance.randrange(3)] = new
    return bytes(mutable) or b"x"


fuzz = st.one_of(
    st.binary(max_size=200),
    st.builds(mutated, st.just(GOOD), st.integers(0, 2**32)),
    st.builds(mutated, st.just(put({"cusip": MICROSOFT, "pme": "P-1"}, op="delete")), st.integers(0, 2**32)),
    st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda deeper: st.lists(deeper)).map(put),
)


@settings(max_examples=120)
@given(values=st.lists(fuzz, max_size=6))
def test_whatever_the_bytes_every_value_is_applied_or_rejected(contract: Contract, values: list[bytes]) -> None:
    kernel = Kernel(contract)
    rejected = kernel.apply([*values, put({"cusip": MICROSOFT}, V + 1)])
    assert len(values) not in rejected
    counters = kernel.store.counters()
    total = sum(counters.get(name, 0) for name in ("applied", "duplicate", "stale", "superseded", "rejected"))
    assert (total, counters.get("rejected", 0)) == (len(values) + 1, len(rejected))
    for stored in kernel.held().values():
        json.loads(stored)
