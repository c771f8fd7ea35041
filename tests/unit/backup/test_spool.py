"""Pages of a scan become shards: each key once, in order, bounded in memory."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from instrument_cache.backup import spool as module
from instrument_cache.backup.entries import Entry, pack, shard_of, unpack
from instrument_cache.backup.spool import Spool, shards_for
from instrument_cache.errors import BackupRefused, ScratchUnavailable


def record(key: bytes, value: bytes, expires_at_ms: int = -1) -> bytes:
    return struct.pack("<IIq", len(key), len(value), expires_at_ms) + key + value


def value(version: int) -> bytes:
    return b'{"v":%016d,"x":1}' % version


def test_each_key_stands_once_with_its_largest_value(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    spool.add(record(b"b", value(2)) + record(b"a", value(9), 77))
    spool.add(record(b"b", value(3)) + record(b"b", value(1)))
    spool.flush()
    assert spool.shard(0) == [Entry("a", value(9), 77), Entry("b", value(3), 0)]


def test_what_is_none_of_the_stores_values_is_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    for key, bad in ((b"a", b""), (b"b", b"text"), (b"c", b'{"v":12,"x":1}'), (b"d\xff", value(1))):
        spool.add(record(key, bad))
    spool.flush()
    assert (spool.shard(0), spool.passed_over) == ([], 4)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_between_the_shards(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUFFER_BYTES_MAX", 1000)
    chance = random.Random(seed)
    wanted = {b"instr:%09d" % number: value(chance.randrange(10**15)) for number in range(500)}
    spool = Spool(tmp_path, 8)
    for key, stored in wanted.items():
        spool.add(record(key, stored))
    spool.flush()
    shards = [spool.shard(index) for index in range(8)]
    assert {entry.key.encode(): entry.value for shard in shards for entry in shard} == wanted
    for index, shard in enumerate(shards):
        assert all(shard_of(entry.key.encode(), 8) == index for entry in shard)
        assert [entry.key for entry in shard] == sorted(entry.key for entry in shard)


def test_begins_again_from_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2)
    spool.add(record(b"a", value(1)))
    spool.flush()
    spool.forget()
    spool.flush()
    assert [spool.shard(0), spool.shard(1), spool.entries] == [[], [], 0]


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    (tmp_path / "00000.spool").symlink_to("/dev/full")
    spool.add(record(b"a", value(1)))
    with pytest.raises(ScratchUnavailable, match=r"No space left on device; make room, or set TMPDIR"):
        spool.flush()


def test_shards_grow_with_the_keys_and_with_their_size() -> None:
    assert [shards_for(keys, 0) for keys in (0, 1, 16_384, 16_385, 1_000_000, 10**9)] == [1, 1, 1, 2, 64, 1024]
    assert [shards_for(1, held_bytes) for held_bytes in (8_000_000, 8_000_001, 10**9)] == [1, 2, 128]


def test_the_same_entries_are_the_same_bytes_and_come_back() -> None:
    entries = [Entry("a", value(1), 0), Entry("b", value(2), 5)]
    assert pack(entries) == pack(list(entries))
    assert unpack(pack(entries), "it") == entries


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_cut_bytes_are_no_shard(cut: int) -> None:
    with pytest.raises(BackupRefused, match="is no shard of a backup"):
        unpack(pack([Entry("a", value(1), 0)])[:cut], "it")
