"""How fast another sink for Redis drains the same log, and what it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.connect.plugins import Plugin, find_plugins
from benchmarks.connect.sinks import Sink, choose_sinks, read_properties
from benchmarks.connect.worker import check_installed
from benchmarks.drain import SUBMISSION, parts, reset, submission
from benchmarks.peer_check import PeerCheck, RecordJudge, compare_peer, scan_peer
from benchmarks.peer_scenarios import ScenarioResult, run_scenarios
from benchmarks.peer_stack import RUNNING, Connector, PeerStack, Stuck, peer_stack
from benchmarks.peer_targets import OwnTarget, PeerTarget, renew_topic
from benchmarks.span import Moment, Span, between, moment
from benchmarks.workload import Workload
from instrument_cache.contract import Contract
from local_stack.instance import DATASET, Instance

# The product's own parts, all but Kafka: they stand by while the other sink works.
OWN_IDLE: Final = "the product, idle"
# A sink that has done nothing for so long does nothing more.
_IDLE_S: Final = 30.0
_START_TIMEOUT_S: Final = 240.0


@dataclass(frozen=True)
class Peers:
    """What `--peer` names: where the plugins lie, and which sinks in them are run."""

    plugins: list[Plugin]
    sinks: list[Sink]


@dataclass(frozen=True)
class PeerRun:
    """One drain by another sink. `spans` is empty if it came to a stand; `state` is then why, else RUNNING."""

    state: str
    why: str
    spans: tuple[Span, ...]
    check: PeerCheck


@dataclass(frozen=True)
class PeerReport:
    """All of one sink: its drains, and what it made of the small inputs on which sinks differ."""

    sink: Sink
    runs: list[PeerRun]
    scenarios: list[ScenarioResult]


@dataclass(frozen=True)
class PeersReport:
    """Other sinks and the product on the same log. `own` are the product's drains, `own_scenarios` its small inputs."""

    own: list[Span]
    own_scenarios: list[ScenarioResult]
    peers: list[PeerReport]


def find_peers(folder: Path, config: Path | None) -> Peers:
    """Raises InstrumentCacheError, which says what was found and what to do, if there is nothing to run."""
    check_installed(Instance.from_environment())
    plugins = find_plugins(folder)
    return Peers(plugins, choose_sinks(plugins, read_properties(config) if config else {}))


class Comparison:
    """Runs other sinks on the log that the product has drained."""

    def __init__(
        self, instance: Instance, contract: Contract, workload: Workload, rows: int, status: Callable[[str], None]
    ) -> None:
        self._instance, self._rows, self._status = instance, rows, status
        self._contract = contract
        self._expected = expected_by_key(workload.expected.held, contract.key_prefix)
        self._judge = RecordJudge(contract)

    def run(self, peers: Peers, parallelism: int, repeat: int, own: list[Span]) -> PeersReport:
        """Every sink, one after the other, each drain from an empty Redis; `own` are the product's drains before."""
        reset(self._instance)
        with peer_stack(self._instance, peers.plugins, self._status) as stack:
            reports = [self._sink(stack, sink, parallelism, repeat) for sink in peers.sinks]
        return PeersReport(own, self._own_scenarios(), reports)

    def _sink(self, stack: PeerStack, sink: Sink, parallelism: int, repeat: int) -> PeerReport:
        runs = []
        for number in range(1, repeat + 1):
            self._status(f"{sink.connector_class}: run {number} of {repeat}")
            runs.append(self._drain(stack, sink, parallelism))
        self._status(f"{sink.connector_class}: what it makes of difficult input")
        return PeerReport(sink, runs, run_scenarios(PeerTarget(stack, sink, self._contract), self._contract))

    def _drain(self, stack: PeerStack, sink: Sink, parallelism: int) -> PeerRun:
        with stack.connector(sink, DATASET, parallelism) as connector:
            state, why, moments = RUNNING, "", []
            try:
                for part in (0.0, 0.5, 1.0):
                    moments.append(self._moment(stack, connector, part))
                connector.await_committed(_IDLE_S)
            except Stuck as stuck:
                state, why = stuck.state, stuck.why
            check = compare_peer(self._expected, scan_peer(stack.redis, self._judge))
        return PeerRun(state, why, _spans(moments), check)

    def _moment(self, stack: PeerStack, connector: Connector, part: float) -> Moment:
        """When Redis holds that part of all keys. A sink counts nothing itself, but new keys come evenly in the log."""
        keys = len(self._expected)
        held = connector.await_keys(max(1, round(keys * part)), _IDLE_S)
        own = {pid: name if name == "kafka" else OWN_IDLE for pid, name in parts(self._instance).items()}
        roots = {**own, **stack.parts(), os.getpid(): SUBMISSION}
        return moment(roots, round(min(held, keys) * self._rows / keys))

    def _own_scenarios(self) -> list[ScenarioResult]:
        """The product on the small inputs. It needs its topic empty, so no sink can be run after this."""
        self._status("the product: what it makes of difficult input")
        renew_topic(self._instance.kafka)
        with submission(self._instance) as launcher:
            launcher.wait(_START_TIMEOUT_S)
            return run_scenarios(OwnTarget(self._instance, self._contract), self._contract)


def _spans(moments: Sequence[Moment]) -> tuple[Span, ...]:
    """The whole and its second half."""
    if len(moments) < 3:
        return ()
    first, middle, last = moments
    return between(first, last), between(middle, last)


def expected_by_key(held: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    """What our store must hold, by instrument: aliases are nothing that a sink could know."""
    return {key.partition(":")[2]: stored for key, stored in held.items() if key.startswith(f"{prefix}:")}
