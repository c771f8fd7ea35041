"""The chain of one dataset. A link is claimed by writing the object of its number: of two writers at once one gets it,
and the other takes the next number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from instrument_cache.audit.entry import NO_ENTRY, Entry, Names, encoded, number_in, parsed, sha256
from instrument_cache.errors import AuditError, ObjectMissing
from instrument_cache.objects import ObjectLock, ObjectStore

_NUMBER_MAX: Final = 10**12 - 1
Lock = Callable[[], ObjectLock]


class Chain:
    """Methods raise ObjectStoreUnavailable; then nothing is lost by doing it again."""

    def __init__(self, objects: ObjectStore, dataset: str, lock: Lock) -> None:
        self._objects, self._lock = objects, lock
        self.names = Names(dataset)

    def numbers(self, after: int = 0) -> list[int]:
        """Those of all entries behind a number, in order."""
        names = self._objects.keys(self.names.entries, self.names.entry(after))
        return sorted(number for name in names if (number := number_in(name, self.names.entries)))

    def head(self) -> int:
        """The number of the newest entry; 0 if there is none. Its cost hardly grows with the chain."""
        low = self._before_a_gap()
        # Nothing stands behind a gap, unless somebody has removed an entry.
        return max(self.numbers(low), default=low)

    def _before_a_gap(self) -> int:
        """A number whose entry is there (or 0), with none behind it: searched in steps that double, then halve."""
        low, step = 0, 1
        while self._has(low + step):
            low, step = low + step, step * 2
        while step > 1:
            step //= 2
            low += step * self._has(low + step)
        return low

    def _has(self, number: int) -> bool:
        return self._objects.size(self.names.entry(number)) is not None

    def raw(self, number: int) -> bytes | None:
        """The bytes of an entry; None if there is none of that number."""
        try:
            return self._objects.get(self.names.entry(number))
        except ObjectMissing:
            return None

    def append(self, wanted: Entry, after: int) -> tuple[Entry, bytes]:
        """The link of that report, new or found; and its bytes. `after`: a number that is not above the link's.

        `number` and `previous` of what is wanted are set here. Raises AuditError if the chain is broken there.
        """
        before = self._before(after)
        for number in range(after + 1, _NUMBER_MAX):
            raw = encoded(msgspec.structs.replace(wanted, number=number, previous=before))
            # What is there may be our own, if an answer got lost or another try was here first.
            if self._objects.put_once(self.names.entry(number), raw, lock=self._lock()):
                return msgspec.json.decode(raw, type=Entry), raw
            held = self._objects.get(self.names.entry(number))
            if (there := parsed(held)) and _says_the_same(there, wanted):
                return there, held
            before = sha256(held)
        raise AuditError(f"the chain has {_NUMBER_MAX} entries; no number is left")

    def _before(self, after: int) -> str:
        if not after:
            return NO_ENTRY
        raw = self.raw(after)
        if raw is None:
            raise AuditError(f"entry {after} of the audit trail was removed; `icache audit verify` says what is left")
        return sha256(raw)


def _says_the_same(there: Entry, wanted: Entry) -> bool:
    """Whether it is the link of the same report: only the writer's own moment may differ."""
    place = {"number": there.number, "previous": there.previous, "at": there.at, "late": there.late}
    return there == msgspec.structs.replace(wanted, **place)
