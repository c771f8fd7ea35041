"""The gRPC process on a real Redis and a real Kafka, asked by a client of grpc."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from instrument_cache.settings import Environment
from local_stack.synthetic import synthetic_cusip
from lookup_app.config import lookup_settings
from lookup_app.rpc import lookup_pb2 as pb
from lookup_app.rpc import lookup_pb2_grpc
from lookup_app.rpc.server import SERVICE
from tests.integration.lookup_app.changes.conftest import make_world
from tests.integration.lookup_app.changes.scene import Process, World
from tests.servers import free_port, redis_server, wait_until

SERVING, NOT_SERVING = (health_pb2.HealthCheckResponse.ServingStatus.Value(name) for name in ("SERVING", "NOT_SERVING"))


class Rpc:
    """The process and a channel to it."""

    def __init__(self, world: World, **environment: str) -> None:
        self.process = Process({**world.environment, **environment}, world.folder / "rpc.log", "lookup_app.rpc")
        self.operations = f"http://127.0.0.1:{free_port()}"
        world.processes.append(self.process)
        self.process.options = ["--operations-port", self.operations.rpartition(":")[2]]
        self.process.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.process.port}")
        self.stub: Any = lookup_pb2_grpc.LookupStub(self.channel)
        wait_until(lambda: httpx.get(self.operations + "/readyz").status_code == 200, what="the gRPC process")

    def health(self, service: str = SERVICE) -> int:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status)


@pytest.fixture
def rpc(world: World) -> Iterator[Rpc]:
    made = Rpc(world)
    yield made
    made.channel.close()


@pytest.fixture
def rest(world: World, make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(lookup_settings(Environment(world.environment))).test_client()


def error_of(call: Any) -> tuple[grpc.StatusCode, dict[str, Any]]:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    failed: Any = raised.value
    return failed.code(), dict(failed.trailing_metadata() or ())


def test_answers_the_bytes_that_rest_answers(world: World, rpc: Rpc, rest: FlaskClient) -> None:
    version = world.put(1, 2, 3)
    wait_until(lambda: len(world.stored()) == 3)
    key = synthetic_cusip(1)
    found = rpc.stub.Get(pb.GetRequest(dataset=world.dataset, id=key.lower()))
    by_rest = rest.get(f"/v1/{world.dataset}/{key}")
    assert (found.version, found.json, found.HasField("stale_s")) == (version, by_rest.data, False)
    ids = [synthetic_cusip(2), "bad", synthetic_cusip(9), synthetic_cusip(2)]
    results = rpc.stub.BatchGet(pb.BatchGetRequest(ids=ids)).results
    by_rest = rest.post(f"/v1/{world.dataset}:batch", json={"ids": ids}).json["results"]
    assert [result.id for result in results] == ids
    for result, other in zip(results, by_rest, strict=True):
        if other["status"] == 200:
            assert json.loads(result.instrument.json) == other["instrument"]
        else:
            assert (result.problem.status, json.loads(result.problem.json)) == (other["status"], other["problem"])


def test_by_alias(world: World, rpc: Rpc) -> None:
    key, version = synthetic_cusip(4), time.time_ns() // 1000
    record = {"cusip": key, "pme": f"P-{world.dataset}"}
    world.writer.write(key.encode(), json.dumps({"op": "put", "version": version, "record": record}).encode())
    world.writer.flush()
    wait_until(lambda: len(world.stored()) == 1)
    assert rpc.stub.Get(pb.GetRequest(id=f"P-{world.dataset}", by="pme")).version == version
    assert rpc.stub.BatchGet(pb.BatchGetRequest(ids=[f"P-{world.dataset}"], by="pme")).results[0].instrument.json
    code, _ = error_of(lambda: rpc.stub.Get(pb.GetRequest(id="x", by="nothing")))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_errors_have_codes_and_say_the_rule(world: World, rpc: Rpc) -> None:
    world.put(5)
    deleted = world.put(5, op="delete")
    wait_until(lambda: world.stored().get(synthetic_cusip(5)) == deleted)
    get = lambda **fields: error_of(lambda: rpc.stub.Get(pb.GetRequest(**fields)))  # noqa: E731
    code, metadata = get(id="037833101")
    assert (code, metadata["problem-type"], metadata["problem-rule"], metadata["problem-value"]) == (
        *(grpc.StatusCode.INVALID_ARGUMENT, "invalid-identifier"),
        *("check_digit", "037833101"),
    )
    assert get(id=synthetic_cusip(6))[0] is grpc.StatusCode.NOT_FOUND
    code, metadata = get(id=synthetic_cusip(5))
    assert (code, metadata["problem-type"]) == (grpc.StatusCode.NOT_FOUND, "deleted-instrument")
    assert json.loads(metadata["problem-bin"])["version"] == deleted
    assert get(dataset="nothing", id="x")[1]["problem-type"] == "unknown-dataset"
    for ids in ([], ["x"] * 1001):
        code, metadata = error_of(lambda ids=ids: rpc.stub.BatchGet(pb.BatchGetRequest(ids=ids)))
        assert (code, metadata["problem-type"]) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid-batch-size")
    code, _ = error_of(lambda: rpc.stub.BatchGet(pb.BatchGetRequest(ids=["x" * 2_000_000])))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_watch_tells_filters_and_resumes(world: World, rpc: Rpc) -> None:
    key = synthetic_cusip(7)
    watching = rpc.stub.Watch(pb.WatchRequest(ids=[key]))
    hello = next(watching)
    assert hello.kind == pb.WatchEvent.HELLO
    version = world.put(7, 8)
    told = next(event for event in watching if event.kind == pb.WatchEvent.PUT)
    assert (told.id, told.version) == (key, version)
    assert told.json == rpc.stub.Get(pb.GetRequest(id=key)).json
    watching.cancel()
    deleted = world.put(7, op="delete")
    again = rpc.stub.Watch(pb.WatchRequest(resume=told.cursor))
    gone = next(event for event in again if event.kind == pb.WatchEvent.DELETE)
    assert (gone.id, gone.version, gone.json) == (key, deleted, b"")
    again.cancel()
    code, _ = error_of(lambda: next(rpc.stub.Watch(pb.WatchRequest(ids=["bad"]))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, _ = error_of(lambda: next(rpc.stub.Watch(pb.WatchRequest(resume="bad"))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_watch_that_does_not_keep_up_is_cut_off(world: World) -> None:
    rpc = Rpc(world, ICACHE_LOOKUP_CHANGES_WAITING_BYTES_MAX="65536")
    options = [("grpc.http2.lookahead_bytes", 4096), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{rpc.process.port}", options=options) as channel:
        stub: Any = lookup_pb2_grpc.LookupStub(channel)
        slow = stub.Watch(pb.WatchRequest())
        cursor = next(slow).cursor
        metric = f'instrument_cache_changes_slow_clients_total{{dataset="{world.dataset}"}} 1.0'
        for _ in range(40):
            world.put(*range(500))
            if metric in httpx.get(rpc.operations + "/metrics").text:
                break
        wait_until(lambda: metric in httpx.get(rpc.operations + "/metrics").text)
        code, metadata = error_of(lambda: list(slow))
        assert (code, metadata["problem-type"]) == (grpc.StatusCode.UNAVAILABLE, "busy")
    newest = world.put(501)
    again = rpc.stub.Watch(pb.WatchRequest(resume=cursor))
    assert next(event for event in again if event.id == synthetic_cusip(501)).version == newest
    again.cancel()


def test_reflection_and_metrics(rpc: Rpc) -> None:
    database = ProtoReflectionDescriptorDatabase(rpc.channel)
    assert SERVICE in database.get_services()
    with pytest.raises(grpc.RpcError):
        rpc.stub.Get(pb.GetRequest(id="bad"))
    wait_until(lambda: 'route="rpc_get"' in httpx.get(rpc.operations + "/metrics").text)
    assert httpx.get(rpc.operations + "/healthz").json() == {"status": "alive"}
    assert httpx.post(rpc.operations + "/readyz").status_code == 405


def test_deadlines_and_health_while_redis_hangs(kafka: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis", port, "password") as url:
        made = make_world(kafka, url, tmp_path)
        rpc = Rpc(made, ICACHE_LOOKUP_REDIS_TIMEOUT_MS="2000", ICACHE_LOOKUP_CACHE_BYTES="0")
        assert rpc.health() == SERVING
        redis = made.applier.store._client
        redis.execute_command("CLIENT", "PAUSE", "3000", "ALL")
        started_s = time.monotonic()
        code, _ = error_of(lambda: rpc.stub.Get(pb.GetRequest(id=synthetic_cusip(1)), timeout=0.2))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - started_s < 1.0
        wait_until(lambda: rpc.health() == SERVING)
    wait_until(lambda: rpc.health() == NOT_SERVING)
    code, metadata = error_of(lambda: rpc.stub.Get(pb.GetRequest(id=synthetic_cusip(1))))
    assert (code, metadata["problem-type"]) == (grpc.StatusCode.UNAVAILABLE, "store-unavailable")
    with redis_server(tmp_path / "redis", port, "password"):
        wait_until(lambda: rpc.health() == SERVING)
        rpc.process.kill()
        made.applier.stop()


def test_drain(world: World) -> None:
    rpc = Rpc(world, ICACHE_LOOKUP_DRAIN_S="2")
    watching = rpc.stub.Watch(pb.WatchRequest())
    hello = next(watching)
    rpc.process.signal(signal.SIGTERM)
    wait_until(lambda: rpc.health() == NOT_SERVING, 5)
    assert error_of(lambda: rpc.stub.Get(pb.GetRequest(id=synthetic_cusip(1))))[0] is grpc.StatusCode.NOT_FOUND
    code, metadata = error_of(lambda: list(watching))
    assert (code, metadata["problem-type"]) == (grpc.StatusCode.UNAVAILABLE, "busy")
    assert rpc.process.wait() == 0
    assert hello.cursor
