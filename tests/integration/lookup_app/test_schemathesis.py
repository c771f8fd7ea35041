"""Requests made of the OpenAPI document, good and bad: no server error, and no answer that it does not describe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from instrument_cache.contract import load_contract
from instrument_cache.identifiers import is_cusip
from lookup_app.config import LookupSettings
from lookup_app.openapi.document import document
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.servers import RedisServer, wait_until

KNOWN = ["037833100", "594918104"]
Change = Callable[..., int]


def _with_check_digit(eight: str) -> str:
    return next(text for digit in "0123456789" if is_cusip(text := eight + digit))


CUSIPS = st.sampled_from(KNOWN) | st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=8, max_size=8).map(
    _with_check_digit
)
schemathesis.openapi.format("cusip", CUSIPS)


@schemathesis.serializer("application/x-ndjson")
def _as_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    # One string is a line, so that what is meant to be no list of lines must be made so.
    lines = value if isinstance(value, list) else [{"no": "list of lines"}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


SETTINGS = LookupSettings("redis://unused", (CONTRACT_PATH,), redis_timeout_s=2)
schema = schemathesis.openapi.from_dict(document([load_contract(CONTRACT_PATH)], SETTINGS))


@pytest.fixture
def app(redis_server: RedisServer, change: Change, make_app: Callable[..., Flask]) -> Flask:
    for number, key in enumerate(KNOWN):
        change({"cusip": key, "pme": f"P-{number}", "name": "A name"})
    change({"cusip": "023135106"}, op="delete")
    app = make_app(replace(SETTINGS, redis_url=redis_server.url))
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200, "the service is ready")
    return app


@schema.parametrize()
@settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_every_answer_is_one_that_is_described(case: schemathesis.Case, app: Flask) -> None:
    case.operation.app = app
    case.call_and_validate()
