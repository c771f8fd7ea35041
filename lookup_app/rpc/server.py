"""The process: serves calls, tells its health, and ends in good order."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lookup_app.rpc import lookup_pb2 as pb
from lookup_app.rpc import lookup_pb2_grpc
from lookup_app.rpc.operations import Operations
from lookup_app.rpc.servicer import LookupServicer, Parts
from lookup_app.rpc.settings import RpcSettings
from lookup_app.server_settings import ServerSettings

logger = structlog.get_logger()
SERVICE: Final = pb.DESCRIPTOR.services_by_name["Lookup"].full_name
# 1,000 instruments of the size that contracts allow at most.
_ANSWER_BYTES_MAX: Final = 128 * 1024 * 1024
_LOOK_EVERY_S: Final = 0.5


class RpcServer:
    """Serves until it is told to stop."""

    def __init__(self, parts: Parts, settings: RpcSettings, server: ServerSettings) -> None:
        self._parts, self._server = parts, server
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="read")
        self._servicer = LookupServicer(parts, self._threads)
        self._health: Any = health.aio.HealthServicer()
        self._grpc = grpc.aio.server(options=_options(settings))
        lookup_pb2_grpc.add_LookupServicer_to_server(self._servicer, self._grpc)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)
        self.missing: tuple[str, ...] = ("start",)

    async def serve(self, host: str, port: int, operations_port: int) -> None:
        """Answer calls until SIGTERM or SIGINT, and `/healthz`, `/readyz` and `/metrics` on the other port."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._grpc.add_insecure_port(f"{host}:{port}")  # raises RuntimeError for a port that is taken
        self._parts.datasets.start()
        for stream in self._parts.streams.values():
            stream.start()
        await self._tell_health()
        await self._grpc.start()
        operations = await Operations(lambda: self.missing, self._metrics).listen(host, operations_port)
        logger.info("rpc_ready", host=host, port=port, datasets=list(self._parts.datasets.names))
        looking = asyncio.create_task(self._look())
        beating = asyncio.create_task(self._beat())
        await stop.wait()
        looking.cancel()
        await self._drain()
        beating.cancel()
        operations.close()

    def _metrics(self) -> bytes:
        return self._parts.metrics.exposition() + self._parts.changes_metrics.exposition()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self._tell_health()

    async def _tell_health(self) -> None:
        """Reads and Watch are ready apart: without Kafka there are no changes, but there are still instruments."""
        self.missing = (await asyncio.to_thread(self._parts.datasets.readiness)).missing
        await self._set("", not self.missing)
        await self._set(SERVICE, not self.missing)
        changes_missing = [part for stream in self._parts.streams.values() for part in stream.missing]
        await self._set(f"{SERVICE}/Watch", not changes_missing)

    async def _set(self, service: str, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self._health.set(service, status.SERVING if serving else status.NOT_SERVING)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._parts.changes.heartbeat_s)
            for stream in self._parts.streams.values():
                stream.heartbeat()

    async def _drain(self) -> None:
        """Say first that nobody should call here any more; then end the streams, and let the other calls finish."""
        self._servicer.is_draining, self.missing = True, ("drain",)
        await self._health.enter_graceful_shutdown()
        logger.info("draining", seconds=self._server.drain_s)
        await asyncio.sleep(self._server.drain_s)
        await asyncio.gather(*(stream.stop() for stream in self._parts.streams.values()))
        await self._grpc.stop(self._server.stop_s)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._parts.protection.gate.close()


def _options(settings: RpcSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_send_message_length", _ANSWER_BYTES_MAX),
        ("grpc.max_metadata_size", 32 * 1024),
        # Two processes on one port would share its callers by chance.
        ("grpc.so_reuseport", 0),
        # A caller whose machine is gone is noticed, and one that asks for signs of life all the time is sent away.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
