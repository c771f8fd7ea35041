"""A first region without Flink: the drill only reads its backups, its log and its source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from instrument_cache.backup.service import Backups
from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.kafka import read_to_end
from instrument_cache.settings import Environment, contract_path
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from local_stack.components.product import feed_state
from local_stack.instance import DATASET, Instance
from local_stack.synthetic import synthetic_cusip, synthetic_rows
from local_stack.up import source_position
from tests.servers import wait_until
from tests.stack import running_parts

PARTS = ("redis", "kafka", "s3", "s3-second", "simulator", "feed")


class FirstRegion:
    """`rows` of the source are in its Redis and in a good backup; what is changed afterwards is only in its log."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.env = Environment(instance.settings())
        self.source = open_source(None, self.env)

    def fill(self, rows: int) -> None:
        self.source.publish(synthetic_rows(rows, seed=1))
        self._await_feed()

    def apply(self) -> None:
        """What the stream does."""
        contract = load_contract(contract_path(self.env))
        store = RedisStore(redis_client(self.instance.redis_url, name="test"), DATASET)
        applier = BatchApplier(contract, store, ChangeDecoder(contract))
        messages = list(read_to_end(self.instance.kafka, DATASET, group="test"))
        values = [message.value() for message in messages]
        places = [(message.partition(), message.offset()) for message in messages]
        applier.apply(values, [place[0] for place in places], [place[1] for place in places])

    def back_up(self, run_id: str) -> str:
        """A good backup in both regions; its name."""
        backups = Backups(self.env)
        name = backups.export(run_id, datetime.now(UTC)).name
        assert len(backups.mark_good(backups.verify(name))) == 2
        return name

    def change(self, changed: int, deleted: int) -> None:
        """New versions of the first instruments; the ones behind them are deleted."""
        self.source.publish(synthetic_rows(changed, seed=2))
        assert self.source.delete([synthetic_cusip(number) for number in range(changed, changed + deleted)]) == deleted
        self._await_feed()

    def _await_feed(self) -> None:
        target = source_position(self.source)

        def sent() -> bool:
            state = feed_state(self.instance)
            return state.get("phase") == "live" and int(str(state.get("position", 0))) >= target

        wait_until(sent, 60, what="the feed")


@contextmanager
def first_region() -> Iterator[FirstRegion]:
    with running_parts(*PARTS) as instance:
        yield FirstRegion(instance)
