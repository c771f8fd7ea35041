"""The job's one function: values, partitions and offsets → reject reasons (NULL: the store has taken the change).

Flink finishes a bundle before a checkpoint barrier passes and this function answers only once Redis did, so what a
checkpoint covers is in the store. What was sent twice after a failure is a duplicate to the store.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final

import pandas as pd
import structlog
from pyflink.table import DataTypes
from pyflink.table.udf import ScalarFunction, udf

from flink_jobs.lean_arrow import read_in_place
from flink_jobs.quiet_sampler import quieten
from instrument_cache.avro import AvroChangeDecoder
from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.logs import configure_logging
from instrument_cache.reject_gate import RejectGate, RejectLimits
from instrument_cache.schema_registry import registry_of
from instrument_cache.settings import contract_path, environment, redis_url
from instrument_cache.store.redis import RedisStore

logger = structlog.get_logger()
_WATCH_PAUSE_S: Final = 1.0


class ApplyChanges(ScalarFunction):  # type: ignore[misc]
    """Not deterministic on purpose: a deterministic function would be pushed into the source scan."""

    def __init__(self) -> None:
        self._applier: BatchApplier | None = None
        self._all_null: dict[int, pd.Series] = {}

    def is_deterministic(self) -> bool:
        return False

    def open(self, function_context: Any) -> None:
        configure_logging("stream-worker")
        exit_with_runner()
        quieten()
        read_in_place()
        contract = load_contract(contract_path())
        retry_s = environment().integer("ICACHE_APPLY_RETRY_S", default=20, low=0, high=600)
        client = redis_client(redis_url(), name="stream")
        self._applier = BatchApplier(
            contract,
            RedisStore(client, contract.dataset),
            ChangeDecoder(contract, avro=AvroChangeDecoder(contract, registry_of())),
            retry_s,
            RejectGate(client, contract.dataset, RejectLimits.from_environment()),
        )
        logger.info("worker_ready", dataset=contract.dataset, contract_version=contract.version)

    def eval(self, values: pd.Series, partitions: pd.Series, offsets: pd.Series) -> pd.Series:
        assert self._applier is not None, "Flink calls open() first"
        rejected = self._applier.apply(values.tolist(), partitions.to_numpy(), offsets.to_numpy())
        if not rejected:
            return self._nulls(len(values))
        return pd.Series([rejected.get(at) for at in range(len(values))], dtype=object)

    def _nulls(self, length: int) -> pd.Series:
        """Nearly every batch has no reject: its answer is made once per length."""
        if length not in self._all_null:
            if len(self._all_null) > 64:
                self._all_null.clear()
            self._all_null[length] = pd.Series([None] * length, dtype=object)
        return self._all_null[length]


apply_changes = udf(ApplyChanges(), result_type=DataTypes.STRING(), func_type="pandas")


def exit_with_runner() -> None:
    """End this worker when its TaskManager died.

    The worker's parent is Flink's shell script, which outlives a killed TaskManager. So the sign is that the *script*
    got another parent.
    """
    runner = os.getppid()
    task_manager = _parent_of(runner)

    def watch() -> None:
        while _parent_of(runner) == task_manager and os.getppid() == runner:
            time.sleep(_WATCH_PAUSE_S)
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-runner", daemon=True).start()


def _parent_of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
