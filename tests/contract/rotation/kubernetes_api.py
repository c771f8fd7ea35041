"""The part of the Kubernetes API that keeps Secrets, on 127.0.0.1: one Secret, one token, the rights of one Role."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAMESPACE, NAME, TOKEN = "cache", "instrument-cache", "a-service-account"
_PATH = f"/api/v1/namespaces/{NAMESPACE}/secrets/{NAME}"
_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")


class SecretsApi(ThreadingHTTPServer):
    """Use it in a `with`. `data` is what the Secret holds, encoded, as the API gives it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def api(self, token: str = TOKEN) -> Any:
        """The official client, logged in."""
        from kubernetes import client

        configuration = client.Configuration(host=self.url, api_key={"authorization": f"Bearer {token}"})
        configuration.retries = False
        return client.CoreV1Api(client.ApiClient(configuration))

    def put(self, slot: str, text: str) -> None:
        self.data[slot] = base64.b64encode(text.encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    server: SecretsApi

    def do_GET(self) -> None:
        if self._may():
            self._answer(200, {"data": self.server.data or None})

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        if self.headers["Content-Type"] not in _PATCHES or body.keys() != {"data"}:
            self._answer(415, {"message": "unsupported"})
            return
        merged = {**self.server.data, **body["data"]}
        self.server.data = {slot: value for slot, value in merged.items() if value is not None}
        self._answer(200, {"data": self.server.data})

    def _may(self) -> bool:
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        if known and self.path == _PATH:
            return True
        self._answer(403 if known else 401, {"message": f"refused: {self.headers['Authorization']}"})
        return False

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps({"kind": "Secret", "apiVersion": "v1", **body}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Tests that fail say enough."""
