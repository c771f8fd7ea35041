"""A constant load of reads on a lookup service, with what each client holds read anew for each request."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

import httpx

Headers = Callable[[], Mapping[str, str]]


class Load:
    """One thread per kind of client, each so often a second. Use it in a `with`."""

    def __init__(self, url: str, clients: Mapping[str, Headers], per_s: float) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self._url, self._pause_s = url, 1 / per_s
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=each) for each in clients.items()]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> dict[tuple[str, str], int]:
        return {what: count for what, count in self.answers.items() if what[1] != "200"}

    def go_on(self, count: int) -> None:
        """Wait until so many more were answered."""
        until, deadline_s = self.total + count, time.monotonic() + 60
        while self.total < until:
            assert time.monotonic() < deadline_s, self.answers
            time.sleep(0.01)

    def _run(self, name: str, headers: Headers) -> None:
        with httpx.Client(timeout=10) as client:
            due_s = time.monotonic()
            while not self._ended.wait(max(due_s - time.monotonic(), 0)):
                due_s += self._pause_s
                self.answers[name, self._status(client, headers)] += 1

    def _status(self, client: httpx.Client, headers: Headers) -> str:
        try:
            answer = client.get(self._url, headers=dict(headers()))
        except httpx.HTTPError as error:
            return repr(error)
        return str(answer.status_code) if answer.status_code == 200 else answer.text
