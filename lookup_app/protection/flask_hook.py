"""The gate and the bulkhead in front of Flask's views."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, current_app, g, request

from lookup_app.protection.assembly import Protection
from lookup_app.protection.gate import ADMISSION, batch_cost

# All that tells of instruments lies below; health, metrics, the description of the API and the page do not.
GUARDED: Final = "/v1/"
BATCH: Final = ":batch"
_HOOK: Final = "icache.protection"


def install(app: Flask, protection: Protection) -> None:
    """Admit every request below `/v1/` that nobody admitted yet, and hold batches to their number."""

    def admit() -> None:
        path = request.path
        if path.startswith(GUARDED):
            if ADMISSION not in request.environ:
                request.environ[ADMISSION] = protection.gate.admit(request.environ, _dataset(path))
            if path.endswith(BATCH) and request.method == "POST":
                protection.bulkhead.enter()
                g.holds_a_place = True

    def add_headers(response: Response) -> Response:
        admission = request.environ.get(ADMISSION)
        if admission is not None:
            for name, value in admission.headers:
                response.headers.setdefault(name, value)
        return response

    def leave(_: BaseException | None) -> None:
        if g.pop("holds_a_place", False):
            protection.bulkhead.leave()

    app.extensions[_HOOK] = protection
    app.before_request(admit)
    app.after_request(add_headers)
    app.teardown_request(leave)


def charge_batch(ids: int) -> None:
    """Charge the current request, admitted for the price of one, for `ids` ids. Raises Problem `rate-limited`."""
    protection: Protection | None = current_app.extensions.get(_HOOK)
    if protection is not None:
        protection.gate.charge(request.environ, batch_cost(ids) - 1)


def _dataset(path: str) -> str:
    """`/v1/instruments/037833100`, `/v1/instruments:batch` and `/v1/instruments` are all about `instruments`."""
    return path[len(GUARDED) :].partition("/")[0].partition(":")[0]
