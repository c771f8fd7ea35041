"""What is shown to who approves a restore."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from instrument_cache.backup.manifest import Manifest
from instrument_cache.epoch import Epoch
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan, make_plan
from instrument_cache.restore.request import restore_request
from tests.unit.restore.backups import CONTRACT, TwoRegions, instrument, write_backup


def plan_of(
    mode: str = "restore", *, at: datetime | None = None, epoch: Epoch | None = None, region: str = "any"
) -> Plan:
    world = TwoRegions()
    manifest: Manifest = write_backup(world.both, [instrument(1, 10**15)], at=at)
    request = restore_request(CONTRACT, run_id="r", by="ann", mode=mode, reason="a bad load", region=region)
    return make_plan(CONTRACT, request, manifest, "first", epoch or Epoch(), Counts(read=1, replaced=1, removed=2))


def test_it_says_what_would_happen() -> None:
    plan = plan_of()
    assert plan.sentence.startswith(f"Restore all keys of instruments to the backup {plan.backup} of 20")
    assert "nothing that is newer in the cache is overwritten" in plan.markdown
    assert "asked by: ann" in plan.markdown
    assert plan.warnings == ()


def test_a_roll_back_says_what_it_overwrites_and_which_epoch_it_opens() -> None:
    text = plan_of("roll back to", epoch=Epoch(number=3)).markdown
    assert "**newer data is overwritten**: 1 replaced, 2 removed" in text
    assert "opens epoch 4" in text
    assert "a bad load" in text


def test_it_warns_of_what_may_surprise() -> None:
    old = datetime.now(UTC) - timedelta(seconds=CONTRACT.replay_s_max + 86_400)
    pinned = Epoch(number=2, backup="b", pinned=True)
    warnings = " ".join(plan_of(at=old, epoch=pinned, region="second").warnings)
    assert "more than the longest replay" in warnings
    assert "epoch 2 is pinned" in warnings
    assert "the second region was asked for" in warnings


def test_it_goes_through_airflow_unchanged() -> None:
    plan = plan_of("roll back to", epoch=Epoch(number=3))
    assert msgspec.convert(msgspec.to_builtins(plan), Plan) == plan
