"""`icache doctor` and the page on a whole stack: nothing is red while it is well, and all that is planted is named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from instrument_cache.connections import redis_client
from instrument_cache.doctor import Finding
from instrument_cache.reject_gate import RejectGate, RejectLimits, clear_alarm
from instrument_cache.reports import Summary
from local_stack.airflow_api import AirflowApi
from local_stack.instance import DATASET
from local_stack.stack import component
from local_stack.supervisor import Supervisor
from local_stack.up import start
from tests.faults.naming import NAMED_S_MAX
from tests.servers import wait_until
from tests.stack import Stack

STOPPED = ("airflow-scheduler", "airflow-triggerer", "lookup", "s3-second")
# Part → what its red sentence says.
PLANTED = {
    "airflow": {"scheduler is unhealthy", "triggerer is unhealthy"},
    "lookup": {"does not answer"},
    "s3:second": {"S3"},
    "rejects": {"10 of 10 records (100%) were rejected"},
    "account": {"outcomes for"},
    "equality": {"the newest proof of equality is 2.0 days old"},
    "backup": {"the newest good backup is 2.0 days old"},
    **{name: {"is STOPPED"} for name in STOPPED if name != "lookup"},
}

# The processes themselves are known to the supervisor, and only the command asks it.
ON_PAGE = PLANTED.keys() - {name for name in STOPPED if name != "lookup"}


@pytest.mark.timeout(1000)
def test_the_doctor_and_the_page_name_what_is_planted_in_a_whole_stack(stack: Stack) -> None:
    stack.settle()
    _forget_red_reports(stack)
    airflow = AirflowApi(stack.instance)
    wait_until(lambda: not red(stack) and not red_on_page(airflow), 300, what="a stack in which nothing is red")
    with _planted(stack) as plant_proofs:
        began_s = time.monotonic()

        def all_named() -> bool:
            plant_proofs()  # a backup that was under way may have reported meanwhile
            unnamed.append([*_unnamed(red(stack)), *(ON_PAGE - red_on_page(airflow))])
            return not unnamed[-1]

        unnamed: list[list[str]] = []
        wait_until(all_named, NAMED_S_MAX, what="every planted fault named")
        print(f"named after {time.monotonic() - began_s:.1f} s")
        assert stack.cli("doctor").returncode == 1
        for finding in red(stack):
            assert finding.why, finding
            assert finding.mend, finding
    wait_until(lambda: stack.cli("doctor").returncode == 0, 240, what="a stack in which nothing is red again")


def red_on_page(airflow: AirflowApi, what: str = "findings") -> set[str]:
    """The parts that the operator's page calls red: by the word of the doctor ("findings"), or by its own ("tiles")."""
    return {found["part"] for found in airflow.page()[what] if found["severity"] == "red"}


def red(stack: Stack) -> list[Finding]:
    """What `icache doctor --json` calls red."""
    found = msgspec.json.decode(stack.cli("doctor", "--json").stdout, type=list[Finding])
    return [finding for finding in found if finding.severity == "red"]


def _forget_red_reports(stack: Stack) -> None:
    """Earlier tests end operations badly on purpose, or kill them: their reports are red until the next run."""
    client = redis_client(stack.instance.redis_url, name="test")
    good = msgspec.json.encode(Summary("good", datetime.now(UTC).isoformat(), True, "All is well.", {}))
    for key in client.scan_iter(match=f"report:{DATASET}:*"):
        client.set(key, good)


def _unnamed(found: list[Finding]) -> list[str]:
    told = {part: " ".join(each.sentence for each in found if each.part == part) for part in PLANTED}
    return [f"{part}: {text}" for part, texts in PLANTED.items() for text in texts if text not in told[part]]


@contextmanager
def _planted(stack: Stack) -> Iterator[Callable[[], None]]:
    client = redis_client(stack.instance.redis_url, name="test")
    supervisor = Supervisor(stack.instance)
    reports = {name: client.get(f"report:{DATASET}:{name}") for name in ("reconcile", "backup")}
    old = Summary("old", (datetime.now(UTC) - timedelta(days=2)).isoformat(), True, "All was well.", {})

    def plant_proofs() -> None:
        for name in reports:
            client.set(f"report:{DATASET}:{name}", msgspec.json.encode(old))

    try:
        for name in STOPPED:
            supervisor.stop(name)
        RejectGate(client, DATASET, RejectLimits(records_min=1)).note(10, ["malformed_json: planted"] * 10)
        client.hincrby(f"account:{DATASET}:0", "applied", 1)
        plant_proofs()
        yield plant_proofs
    finally:
        clear_alarm(client, DATASET)
        client.hincrby(f"account:{DATASET}:0", "applied", -1)
        for name, held in reports.items():
            client.set(f"report:{DATASET}:{name}", held) if held else client.delete(f"report:{DATASET}:{name}")
        for name in STOPPED:
            start(stack.instance, supervisor, component(name))
