"""A schema registry in this process that speaks Confluent's API, over HTTP; for tests that need no real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from instrument_cache.avro_compatibility import mismatches
from instrument_cache.avro_schema import writer_schema
from instrument_cache.errors import SchemaUnusable

Answer = tuple[int, Any]
NO_SCHEMA: Answer = (404, {"error_code": 40403, "message": "Schema not found."})
NO_SUBJECT: Answer = (404, {"error_code": 40401, "message": "Subject not found."})


class RegistryStandIn:
    """Its state, and what it was asked. `answers` are given in place of its own, the first one first."""

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.versions: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.asked: list[str] = []
        self.answers: list[tuple[int, bytes]] = []
        self.url = ""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        parts = path.partition("?")[0].strip("/").split("/")
        if path.startswith("/schemas/ids/"):
            found = self.schemas.get(int(parts[2]))
            return (200, found) if found else NO_SCHEMA
        if method == "POST" and parts[0] == "subjects":
            return self._register(parts[1], body["schema"])
        if parts[0] == "compatibility":
            wrong = self._wrong(parts[2], body["schema"]) if parts[2] in self.versions else None
            return NO_SUBJECT if wrong is None else (200, {"is_compatible": not wrong, "messages": wrong})
        if parts[0] == "config":
            self.levels[parts[1]] = body["compatibility"]
            return 200, body
        return (200, sorted(self.versions)) if parts == ["subjects"] else (404, {"error_code": 404, "message": "?"})

    def _register(self, subject: str, schema: str) -> Answer:
        try:
            writer_schema(schema)
        except SchemaUnusable as error:
            return 422, {"error_code": 42201, "message": str(error)}
        if self._wrong(subject, schema):
            return 409, {"error_code": 409, "message": "incompatible"}
        known = [number for number, other in self.schemas.items() if other["schema"] == schema]
        number = known[0] if known else len(self.schemas) + 1
        self.schemas[number] = {"schema": schema}
        self.versions.setdefault(subject, []).append(schema)
        return 200, {"id": number}

    def _wrong(self, subject: str, schema: str) -> list[str]:
        level = self.levels.get(subject, "NONE")
        found = []
        for other in self.versions.get(subject, []):
            old, new = json.loads(other), json.loads(schema)
            backward = mismatches(new, old) if level.startswith(("BACKWARD", "FULL")) else []
            forward = mismatches(old, new) if level.startswith(("FORWARD", "FULL")) else []
            found += [f"{wrong.path}: {wrong.reason}" for wrong in (*backward, *forward)]
        return found


@contextmanager
def registry_stand_in() -> Iterator[RegistryStandIn]:
    """A stand-in that listens on a free port of 127.0.0.1 and ends with the block."""
    registry = RegistryStandIn()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            registry.asked.append(f"{self.command} {self.path}")
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = registry.answers.pop(0) if registry.answers else self._own(sent)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a client that did not wait
                self.wfile.write(text)

        def _own(self, sent: bytes) -> tuple[int, bytes]:
            status, answer = registry.answer(self.command, self.path, json.loads(sent or b"{}"))
            return status, json.dumps(answer).encode()

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            """Tests stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
