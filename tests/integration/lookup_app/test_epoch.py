"""After a roll back every answer of the dataset says in which epoch it was given, hot path or not."""

from __future__ import annotations

from pathlib import Path

from werkzeug.test import Client

from instrument_cache.connections import redis_client
from instrument_cache.epoch import Epoch, open_epoch
from instrument_cache.store.redis import RedisStore
from local_stack.instance import PROJECT
from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.epochs import EpochHeader, watch_of
from tests.servers import free_port, redis_server, wait_until

KEY = "037833100"
STORED = b'{"v":1763674000123456,"cusip":"037833100"}'


def test_readers_are_told_of_a_roll_back(tmp_path: Path) -> None:
    with redis_server(tmp_path, free_port(), "password") as url:
        client = redis_client(url, name="test")
        RedisStore(client, "instruments").offer({f"instr:{KEY}": STORED})
        settings = LookupSettings(url, (PROJECT / "contracts" / "instruments.yaml",))
        watch = watch_of(url, 1.0, ["instruments"])
        reader = Client(EpochHeader(create_app(settings).wsgi_app, watch))
        before = reader.get(f"/v1/instruments/{KEY}")
        assert (before.status_code, before.data) == (200, STORED)
        assert "Instrument-Epoch" not in before.headers

        open_epoch(client, "instruments", Epoch(), Epoch(number=1, pinned=True))
        paths = (f"/v1/instruments/{KEY}", f"/v1/instruments/{KEY}?fields=cusip", "/v1/instruments/594918104")
        wait_until(lambda: "Instrument-Epoch" in reader.get(paths[0]).headers, 5, "the header")
        for path in paths:
            assert reader.get(path).headers["Instrument-Epoch"] == "1", path
        batch = reader.post("/v1/instruments:batch", json={"ids": [KEY]})
        assert batch.headers["Instrument-Epoch"] == "1"
        unchanged = reader.get(paths[0], headers={"If-None-Match": before.headers["ETag"]})
        assert (unchanged.status_code, unchanged.headers["Instrument-Epoch"]) == (304, "1")
        assert "Instrument-Epoch" not in reader.get("/healthz").headers
