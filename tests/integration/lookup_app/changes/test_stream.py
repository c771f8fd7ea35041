"""What listeners are told: all that was applied, nothing before it was, and no gap whatever ends."""

from __future__ import annotations

import signal
from typing import Any

import httpx
import pytest

from instrument_cache.canary import canary_key
from local_stack.synthetic import synthetic_cusip
from lookup_app.changes.cursor import parse_cursor
from tests.integration.lookup_app.changes.scene import Listener, World, change, now_us
from tests.servers import wait_until


def test_tells_a_change_once_it_is_applied_with_the_stored_bytes(world: World) -> None:
    process = world.process()
    listener = Listener(world.url(process))
    wait_until(lambda: listener.kinds() == ["hello"])
    with world.applier.paused():
        version = world.put(1)
        wait_until(lambda: process.metric("held", world.dataset) == 1, what="the change is held")
        assert listener.kinds() == ["hello"]
    wait_until(lambda: listener.kinds() == ["hello", "put"])
    key = synthetic_cusip(1)
    assert (listener.events[1].data["id"], listener.events[1].data["version"]) == (key, version)
    (stored,) = world.applier.store.get_many([f"k{world.dataset}:{key}"])
    with httpx.stream("GET", world.url(process, f"ids={key}"), timeout=10) as answer:
        lines = answer.iter_lines()
        assert stored is not None
        assert any(f'"instrument":{stored.decode()}' in line for line in lines)


def test_deletions_canaries_and_rejects(world: World) -> None:
    process = world.process()
    listener = Listener(world.url(process))
    wait_until(lambda: listener.kinds() == ["hello"])
    world.put(1)
    wait_until(lambda: len(listener.events) == 2)
    deleted = world.put(1, op="delete")
    world.writer.write(canary_key(0), change("", now_us(), "canary"), partition=0)
    world.writer.write(b"no instrument", b"{")
    world.writer.write(synthetic_cusip(2).encode(), b'{"op":"put"}')
    world.put(3)
    wait_until(lambda: synthetic_cusip(3) in listener.state)
    gone = listener.state[synthetic_cusip(1)]
    assert (gone["op"], gone["version"], gone["instrument"]) == ("delete", deleted, None)
    assert "no instrument" not in listener.state
    wait_until(lambda: sum(parse_cursor(listener.last_id).offsets.values()) >= 5, what="the id moves past them")


def test_only_the_asked_ids_with_their_present_state_first(world: World) -> None:
    version = world.put(1, 2)
    wait_until(lambda: len(world.stored()) == 2)
    process = world.process(ICACHE_LOOKUP_CHANGES_HEARTBEAT_S="1")
    spaced = synthetic_cusip(1).lower()
    listener = Listener(world.url(process, f"ids={spaced},{synthetic_cusip(5)}"))
    wait_until(lambda: listener.kinds() == ["hello", "put"])
    assert listener.events[1].data["version"] == version
    begun = listener.last_id
    world.put(*range(2, 100))
    wait_until(lambda: synthetic_cusip(5) in listener.state)
    wait_until(lambda: listener.last_id != begun and sum(parse_cursor(listener.last_id).offsets.values()) == 100)
    assert set(listener.state) == {synthetic_cusip(1), synthetic_cusip(5)}


def test_no_gap_after_a_cut_at_another_instance_and_after_a_kill(world: World) -> None:
    first, second = world.process(), world.process()
    world.put(*range(50))
    listener = Listener(world.url(first))
    wait_until(lambda: "hello" in listener.kinds())
    known: dict[str, Any] = {}
    for number, process in enumerate((first, second, first, second)):
        world.put(*range(10 * number, 10 * number + 30))
        listener.cut()
        known |= listener.state
        world.put(*range(5, 40))
        if number == 2:
            second.kill()
            world.put(41, 42)
            second = process = world.process()
            world.put(43)
        listener = Listener(world.url(process if number != 3 else second), listener.last_id)
        world.put(44 + number)
        newest = world.put(60)
        wait_until(lambda at=listener, v=newest: at.state.get(synthetic_cusip(60), {}).get("version") == v)
        assert "reset" not in listener.kinds()
    known |= listener.state
    told = {key: data["version"] for key, data in known.items()}
    # What was there before the first listener came is not told.
    assert told == {key: version for key, version in world.stored().items() if key in told}
    assert {synthetic_cusip(number) for number in (*range(40), 41, 42, 43, 44, 47, 60)} <= set(told)


def test_resumes_from_long_ago_and_each_listener_sees_versions_grow(world: World) -> None:
    process = world.process()
    listener = Listener(world.url(process))
    wait_until(lambda: "hello" in listener.kinds())
    start = listener.cut().last_id
    for _ in range(5):
        world.put(*range(2000))
    later = Listener(world.url(process), start)
    for _ in range(5):
        world.put(*range(0, 2000, 3))
    wait_until(lambda: len(world.stored()) == 2000 and world.has_all(later), 60, "the listener has all")
    seen: dict[str, int] = {}
    for event in later.events:
        key, version = event.data["id"], event.data["version"]
        assert version >= seen.get(key, 0)
        seen[key] = version


def test_a_topic_that_was_made_anew_is_a_reset(world: World) -> None:
    process = world.process()
    old = "0123456789ab_" + "-".join(f"{at}.7" for at in range(4))
    world.put(1)
    wait_until(lambda: len(world.stored()) == 1)
    listener = Listener(world.url(process, f"ids={synthetic_cusip(1)}"), old)
    wait_until(lambda: listener.kinds() == ["reset", "put"])
    assert "reason" in listener.events[0].data
    version = world.put(1)
    wait_until(lambda: listener.state[synthetic_cusip(1)]["version"] == version)


def test_an_id_beyond_the_log_is_a_reset(world: World) -> None:
    process = world.process()
    hello = Listener(world.url(process))
    wait_until(lambda: hello.kinds() == ["hello"])
    cursor = parse_cursor(hello.last_id)
    less = {at: offset for at, offset in cursor.offsets.items() if at} | {17: 3}
    beyond = type(cursor)(cursor.topic, dict(sorted(less.items())))
    listener = Listener(world.url(process), beyond.text())
    wait_until(lambda: listener.kinds() == ["reset"])
    world.put(1)
    wait_until(lambda: listener.kinds() == ["reset", "put"])


def test_sigterm_ends_every_stream_and_the_process(world: World) -> None:
    process = world.process()
    listeners = [Listener(world.url(process)) for _ in range(20)]
    wait_until(lambda: all(listener.kinds() == ["hello"] for listener in listeners))
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    wait_until(lambda: all(listener.ended.is_set() for listener in listeners))


@pytest.mark.parametrize(
    ("query", "headers", "status", "kind"),
    [
        ("ids=037833101", {}, 400, "invalid-identifier"),
        ("ids=", {}, 400, "invalid-batch-size"),
        ("ids=" + ",".join(["037833100"] * 1001), {}, 400, "invalid-batch-size"),
        ("ids=%EF%BC%9037833100", {}, 400, "invalid-identifier"),
        ("key=037833100", {}, 400, "invalid-query"),
        ("ids=037833100&ids=037833100", {}, 400, "invalid-query"),
        ("ids=%ff", {}, 400, "invalid-query"),
        ("", {"Last-Event-ID": "17"}, 400, "bad-request"),
        ("", {"Last-Event-ID": "x" * 9000}, 400, "bad-request"),
        ("", {"Transfer-Encoding": "chunked"}, 400, "bad-request"),
        ("", {"X-Long": "y" * 70_000}, 400, "bad-request"),
    ],
)
def test_what_cannot_be_used_is_a_problem(
    shared: tuple[World, str], query: str, headers: dict[str, str], status: int, kind: str
) -> None:
    world, url = shared
    answer = httpx.get(f"{url}/v1/{world.dataset}/changes?{query}", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"/problems/{kind}"


def test_other_routes_and_methods(shared: tuple[World, str]) -> None:
    world, url = shared
    assert httpx.get(f"{url}/v1/nothing/changes").json()["datasets"] == [world.dataset]
    assert httpx.get(f"{url}/nowhere").status_code == 404
    assert httpx.post(f"{url}/v1/{world.dataset}/changes").status_code == 405
    assert httpx.get(f"{url}/healthz").json() == {"status": "alive"}


def test_pages_of_an_allowed_origin_may_listen(shared: tuple[World, str]) -> None:
    world, url = shared
    path = f"{url}/v1/{world.dataset}/changes?ids=bad"
    allowed, other = (httpx.get(path, headers={"Origin": f"http://{host}"}).headers for host in ("page", "other"))
    assert allowed["access-control-allow-origin"] == "http://page"
    assert "access-control-allow-origin" not in other
    preflight = httpx.options(path, headers={"Origin": "http://page"})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "http://page")


@pytest.fixture
def shared(world: World) -> tuple[World, str]:
    return world, world.process(ICACHE_LOOKUP_CHANGES_ORIGINS="http://page").url


def test_more_listeners_than_there_is_room_for_are_refused(world: World) -> None:
    process = world.process(ICACHE_LOOKUP_CHANGES_CLIENTS_MAX="2")
    listeners = [Listener(world.url(process)) for _ in range(2)]
    wait_until(lambda: all(listener.kinds() == ["hello"] for listener in listeners))
    answer = httpx.get(world.url(process))
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/busy")
    assert "retry-after" in answer.headers
    listeners[0].cut()
    wait_until(lambda: process.metric("clients", world.dataset) == 1)
    again = Listener(world.url(process))
    wait_until(lambda: again.kinds() == ["hello"])
