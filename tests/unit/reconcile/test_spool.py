"""Keys and candidates on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument_cache.errors import SpoolFull
from instrument_cache.reconcile.spool import Candidate, CandidateSpool, KeySpool


def test_keys_come_back_in_their_shards_each_once(tmp_path: Path) -> None:
    keys = [b"instr:%d" % number for number in range(20_000)]
    spool, other = KeySpool(tmp_path, "a", 8), KeySpool(tmp_path, "b", 8)
    spool.add(keys)
    spool.add(keys[:10])
    other.add(keys[1:])
    shards = [spool.read(shard) for shard in range(8)]
    assert sum(map(len, shards)) == len(keys)
    assert set().union(*shards) == set(keys)
    assert set().union(*(spool.read(shard) - other.read(shard) for shard in range(8))) == {keys[0]}


def test_candidates_come_back_all_of_them(tmp_path: Path) -> None:
    spool = CandidateSpool(tmp_path, 3)
    given = [Candidate(f"pme:{number % 500}", str(number), number) for number in range(2000)]
    for candidate in given:
        spool.add(candidate)
    assert spool.total == 2000
    found = [candidate for shard in range(3) for candidate in spool.read(shard)]
    assert sorted(found, key=lambda each: each.version) == given


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    spool = KeySpool(tmp_path / "gone", "a", 1)
    spool.add([b"instr:1"])
    with pytest.raises(SpoolFull, match="takes no more"):
        spool.read(0)
