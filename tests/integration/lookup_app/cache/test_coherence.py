"""No answer is older than it may be, whatever happens between the service and Redis.

One process writes versions as fast as it can; threads of this one read them through two services, one beside Redis and
one behind a link that is held and cut. Each answer is then held against what had been confirmed to the writer before.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from lookup_app.app import BACKING, create_app
from lookup_app.config import LookupSettings
from tests.integration.lookup_app.cache.writer import KEYS, key_of
from tests.integration.lookup_app.conftest import CONTRACT_PATH, PROJECT
from tests.integration.lookup_app.servers import RedisServer, free_port, wait_until

SECONDS = float(os.environ.get("ICACHE_TEST_COHERENCE_S", "60"))
BOUND_S = 1.0
READERS_PER_SERVICE = 2
BATCH = 10


class Answer(NamedTuple):
    """What one read said of one key. `age_s` is what it admits to; None: it is said to be fresh."""

    service: str
    began_s: float
    ended_s: float
    key: int
    version: int
    age_s: float | None


class History:
    """Every write that was confirmed, by key."""

    def __init__(self, file: Path) -> None:
        writes: defaultdict[int, list[tuple[float, float, int]]] = defaultdict(list)
        for line in file.read_text(encoding="ascii").splitlines():
            key, version, sent_s, confirmed_s = line.split()
            writes[int(key)].append((float(confirmed_s), float(sent_s), int(version)))
        self._writes = dict(writes)
        self._confirmed_s = {key: [write[0] for write in own] for key, own in writes.items()}
        self.count = sum(map(len, writes.values()))

    def age_s(self, answer: Answer) -> float:
        """Since when, before the read began, a newer version was confirmed; 0 if none was."""
        writes = self._writes.get(answer.key, [])
        first_newer = bisect_left(writes, answer.version + 1, key=lambda write: write[2])
        if first_newer == len(writes):
            return 0.0
        return max(answer.began_s - writes[first_newer][0], 0.0)


@dataclass
class Reader:
    """Threads that read through the whole WSGI application, as fast as they can."""

    name: str
    application: Callable[..., Any]

    def __post_init__(self) -> None:
        self.answers: list[Answer] = []
        self.statuses: Counter[int] = Counter()

    def run(self, ended: threading.Event, seed: int) -> None:
        dice = random.Random(seed)
        while not ended.is_set():
            for _ in range(20):
                self._single(dice.randrange(KEYS))
            self._batch(dice.sample(range(KEYS), BATCH))
            # On two cores the writer and the tracking of the other service need their share.
            time.sleep(0.001)

    def _single(self, key: int) -> None:
        began_s = time.monotonic()
        status, headers, _ = self._ask("GET", f"/v1/instruments/{key_of(key)}", b"")
        version = int(headers.get("Instrument-Version", 0))
        if status in (200, 404):
            self._note(began_s, headers, key, version)

    def _batch(self, keys: list[int]) -> None:
        began_s = time.monotonic()
        body = msgspec.json.encode({"ids": [key_of(key) for key in keys]})
        status, headers, answer = self._ask("POST", "/v1/instruments:batch", body)
        if status == 200:
            for key, item in zip(keys, msgspec.json.decode(answer)["results"], strict=True):
                version = item["instrument"]["v"] if item["status"] == 200 else item["problem"].get("version", 0)
                self._note(began_s, headers, key, version)

    def _note(self, began_s: float, headers: dict[str, str], key: int, version: int) -> None:
        age_s = float(headers["Age"]) if "Warning" in headers else None
        self.answers.append(Answer(self.name, began_s, time.monotonic(), key, version, age_s))

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        from io import BytesIO

        answered: list[Any] = []
        environ = {
            **{"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "CONTENT_TYPE": "application/json"},
            **{
                "SERVER_NAME": "test",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "CONTENT_LENGTH": str(len(body)),
            },
            **{"wsgi.url_scheme": "http", "wsgi.input": BytesIO(body), "wsgi.errors": sys.stderr},
        }
        chunks = self.application(environ, lambda status, headers, error=None: answered.extend((status, headers)))
        status = int(answered[0][:3])
        self.statuses[status] += 1
        return status, dict(answered[1]), b"".join(chunks)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, cwd=PROJECT)
    try:
        yield running
    finally:
        assert running.stdin is not None
        running.stdin.close()
        try:
            running.wait(timeout=10)
        finally:
            running.kill()


def faults(
    server: RedisServer, obey: Callable[[str], None]
) -> list[tuple[str, Callable[[], None], Callable[[], None]]]:
    """(name, begin, end) of each; the rest of the time all is well."""
    admin = server.admin
    nothing: Callable[[], None] = lambda: None  # noqa: E731

    def kill_tracking() -> None:
        for client in admin.client_list():
            if "t" in str(client["flags"]) or client.get("redir") not in ("-1", None):
                admin.client_kill_filter(_id=client["id"])

    return [
        ("the tracking connection is killed", kill_tracking, nothing),
        ("every connection is killed", lambda: admin.client_kill_filter(_type="normal"), nothing),
        ("Redis hangs", lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT)),
        ("the link holds everything back", lambda: obey("hold"), lambda: obey("release")),
        ("the link holds back what tracks", lambda: obey("hold-tracking"), lambda: obey("release")),
        ("the link is cut in the middle", lambda: obey("cut"), nothing),
    ]


@pytest.mark.timeout(SECONDS + 240)
def test_no_answer_is_older_than_it_may_be(redis_server: RedisServer, tmp_path: Path) -> None:
    file, port = tmp_path / "writes", free_port()
    behind = redis_server.url.replace(f":{redis_server.port}/", f":{port}/")
    with process("tests/integration/lookup_app/proxy.py", str(port), str(redis_server.port)) as proxy:

        def obey(word: str) -> None:
            assert proxy.stdin is not None
            proxy.stdin.write(f"{word}\n".encode())
            proxy.stdin.flush()

        apps = {
            name: create_app(LookupSettings(url, (CONTRACT_PATH,)))
            for name, url in (("beside", redis_server.url), ("behind", behind))
        }
        readers = [Reader(name, app.wsgi_app) for name, app in apps.items()]
        ended = threading.Event()
        threads = [
            threading.Thread(target=reader.run, args=(ended, seed))
            for reader in readers
            for seed in range(READERS_PER_SERVICE)
        ]
        with process("-m", "tests.integration.lookup_app.cache.writer", redis_server.url, str(file)):
            wait_until(lambda: file.exists() and file.stat().st_size > 0, "the writer writes")
            for thread in threads:
                thread.start()
            happened = plague(faults(redis_server, obey), SECONDS)
            calm_s = time.monotonic()
            time.sleep(3.0)
        ended.set()
        for thread in threads:
            thread.join()
        for app in apps.values():
            app.extensions[BACKING].stop()
    judge(History(file), [answer for reader in readers for answer in reader.answers], happened, calm_s)
    assert all(set(reader.statuses) <= {200, 404, 503} for reader in readers), [r.statuses for r in readers]


def plague(some: list[tuple[str, Callable[[], None], Callable[[], None]]], seconds: float) -> list[tuple[str, float]]:
    """Each fault in turn, for a third of its share of the time. Returns what began when."""
    share_s = seconds / len(some)
    happened = []
    for name, begin, end in some:
        time.sleep(share_s / 2)
        happened.append((name, time.monotonic()))
        begin()
        time.sleep(max(share_s / 3, 2 * BOUND_S))  # less would not show an answer that is too old
        end()
        time.sleep(share_s / 6)
    return happened


def judge(history: History, answers: list[Answer], happened: list[tuple[str, float]], calm_s: float) -> None:
    """Hold every answer against the history, and see that there was something to hold."""
    ages_s = [(history.age_s(answer), answer) for answer in answers]
    too_old = [
        (round(age_s, 3), answer.service, answer.age_s, _during(answer, happened))
        for age_s, answer in ages_s
        if age_s > (BOUND_S if answer.age_s is None else answer.age_s)
    ]
    fresh = [age_s for age_s, answer in ages_s if answer.age_s is None]
    stale = [answer for _, answer in ages_s if answer.age_s is not None]
    last = [answer for answer in answers if answer.began_s > calm_s + 2.0]
    print(f"{history.count} writes, {len(fresh)} fresh and {len(stale)} stale answers; oldest fresh {max(fresh):.3f} s")
    assert not too_old, (len(too_old), too_old[:10])
    assert len(fresh) > 100 * SECONDS
    assert {answer.service for answer in stale} == {"beside", "behind"}
    assert last
    assert all(answer.age_s is None for answer in last)


def _during(answer: Answer, happened: list[tuple[str, float]]) -> str:
    return next((name for name, at_s in reversed(happened) if at_s <= answer.began_s), "before")
