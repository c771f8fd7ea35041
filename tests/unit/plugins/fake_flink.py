"""A real HTTP server that answers like a JobManager, in states that a real one reaches only by chance."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

NOW_MS = 1_763_674_000_000
NAME = "instrument-cache.instruments.v1"
SOURCE_METRIC = "Source__changes[1].numRecordsOut"


class FakeFlink:
    """Add jobs, take them away, or let every request fail; `requests` holds what was asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.requests: list[str] = []
        self.bodies: list[Any] = []
        self.savepoints: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake._answer(self)

            do_POST = do_PATCH = do_GET

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, job_id: str, state: str = "RUNNING", *, name: str = NAME, age_s: int = 60, **more: Any) -> None:
        """A job that was started `age_s` seconds ago. `checkpoint_s` is the age of its newest checkpoint."""
        self.jobs[job_id] = {"name": name, "state": state, "age_s": age_s, **more}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        if length:
            self.bodies.append(json.loads(handler.rfile.read(length)))
        self.requests.append(f"{handler.command} {handler.path}")
        status, body = self._body(handler.command, urlsplit(handler.path).path.strip("/").split("/"))
        content = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _body(self, method: str, path: list[str]) -> tuple[int, Any]:
        if self.status != 200:
            return self.status, {"errors": ["Service temporarily unavailable due to an ongoing leader election."]}
        if path == ["overview"]:
            counts = {"taskmanagers": 1, "slots-total": 2, "slots-available": 1}
            return 200, {**counts, "flink-version": "2.3.0"}
        if path == ["jobs", "overview"]:
            return 200, {"jobs": [self._line(job_id) for job_id in self.jobs]}
        if path[1] not in self.jobs:
            return 404, {"errors": [f"org.apache.flink.NotFoundException: Job {path[1]} not found\n\tat a"]}
        return self._job(method, path[1], path[2:])

    def _job(self, method: str, job_id: str, rest: list[str]) -> tuple[int, Any]:
        job = self.jobs[job_id]
        match (method, rest):
            case ("PATCH", []):
                job["state"] = "CANCELED"
                return 202, {}
            case ("GET", []):
                timestamps = {"RUNNING": NOW_MS - job["age_s"] * 1000 + 500}
                vertices = [{"id": "v1", "name": "Source: changes[1] -> Calc"}, {"id": "v2", "name": "Sink"}]
                return 200, {**self._line(job_id), "now": NOW_MS, "timestamps": timestamps, "vertices": vertices}
            case ("GET", ["metrics"]):
                return 200, [{"id": "numRestarts", "value": str(job.get("restarts", 0))}]
            case ("GET", ["vertices", _, "subtasks", "metrics"]):
                return 200, [{"id": SOURCE_METRIC, "sum": job.get("records", 0)}]
            case ("GET", ["checkpoints"]):
                return 200, self._checkpoints(job)
            case ("GET", ["exceptions"]):
                entries = [{"stacktrace": job["stacktrace"]}] if "stacktrace" in job else []
                return 200, {"exceptionHistory": {"entries": entries}}
            case ("POST", ["stop"]):
                return 202, {"request-id": "r1"}
            case ("GET", ["savepoints", "r1"]):
                return 200, self.savepoints.pop(0)
        return 404, {"errors": ["Unable to load requested file."]}

    def _line(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        times = {"start-time": NOW_MS - job["age_s"] * 1000, "duration": job["age_s"] * 1000}
        return {"jid": job_id, "name": job["name"], "state": job["state"], **times}

    def _checkpoints(self, job: dict[str, Any]) -> dict[str, Any]:
        counts = {"completed": 3, "failed": 1, "in_progress": 0, "restored": 1}
        if "checkpoint_s" not in job:
            return {"counts": counts, "latest": {"completed": None}}
        acknowledged = NOW_MS - job["checkpoint_s"] * 1000
        completed = {"external_path": "s3://b/chk-3", "latest_ack_timestamp": acknowledged}
        return {"counts": counts, "latest": {"completed": completed}}
