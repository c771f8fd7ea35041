"""The HTTP side of the protocol (README.md)."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local_stack.sow_simulator.body import batches
from local_stack.sow_simulator.problems import Problem, not_stored, refuse, refuse_route, refuse_storage
from local_stack.sow_simulator.topic import Topic

KEYS_BYTES_MAX: Final = 4 * 1024 * 1024
FRAMES: Final = "application/x-sow-frames"
log = structlog.get_logger()


class _KeysRequest(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[str]


class BearerToken:
    """Asks for the token on every request but /healthz."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/healthz" or self._admits(scope):
            await self._app(scope, receive, send)
            return
        way_out = "send the header 'Authorization: Bearer TOKEN' with the token of --token-file"
        answer = Problem(401, "Authorization", "a valid bearer token is needed", way_out).response()
        answer.headers["WWW-Authenticate"] = "Bearer"
        await answer(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


class SubscriptionResponse(StreamingResponse):
    """A subscription that ends when the reader leaves, is cut off, or the server stops."""

    media_type = FRAMES

    def __init__(self, topic: Topic) -> None:
        super().__init__(iter(()))
        self._topic = topic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._topic.subscribers.joined() as subscriber:
            async with aclosing(self._topic.live(subscriber)) as self.body_iterator:
                # Sending waits for a slow reader, so the two other ends need tasks of their own.
                await _first_of(self.stream_response(send), self.listen_for_disconnect(receive), subscriber.cut.wait())


async def _first_of(*ends: Coroutine[Any, Any, object]) -> None:
    """Wait until one is done, cancel the others, and raise what the first raised."""
    tasks = [asyncio.create_task(end) for end in ends]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _topic(request: Request) -> Topic:
    topic: Topic = request.app.state.topic
    name = request.path_params["topic"]
    if name != topic.store.topic:
        raise Problem(404, f"topic {name[:80]!r}", f"this server holds {topic.store.topic!r}", "correct the path")
    return topic


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def publish(request: Request) -> Response:
    topic = _topic(request)
    published, position = 0, topic.store.position
    try:
        async for rows in batches(request):
            position = topic.publish(rows)
            published += len(rows)
            await asyncio.sleep(0)  # subscribers and other requests get their turn between two commits
    except Problem as problem:
        problem.body["published"] = published
        raise
    except sqlite3.Error as error:
        raise not_stored(error, published=published) from error
    except ClientDisconnect:
        log.warning("publisher_left", published=published)
        return Response(status_code=400)
    return JSONResponse({"published": published, "position": position})


async def delete(request: Request) -> Response:
    topic = _topic(request)
    deleted, unknown = topic.delete(_keys(await _bounded_body(request)))
    return JSONResponse({"deleted": deleted, "unknown": unknown, "position": topic.store.position})


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > KEYS_BYTES_MAX:
            raise Problem(
                413, "the body", f"it has at most {KEYS_BYTES_MAX} bytes", "name the keys in several requests"
            )
    return bytes(body)


def _keys(body: bytes) -> list[str]:
    try:
        return msgspec.json.decode(body, type=_KeysRequest).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, repr(body[:80]), str(error), 'send {"keys": ["037833100", …]}') from None


async def status(request: Request) -> Response:
    topic = _topic(request)
    return JSONResponse(
        {
            "topic": topic.store.topic,
            "rows": topic.store.count(),
            "position": topic.store.position,
            "subscribers": len(topic.subscribers),
        }
    )


async def row(request: Request) -> Response:
    topic = _topic(request)
    key = request.path_params["key"]
    message = topic.store.get(key)
    if message is None or message.payload is None:
        raise Problem(404, f"key {key[:80]!r}", "the topic holds no such row", "publish it, or correct the key")
    headers = {
        "Sow-Version": str(message.version),
        "Sow-Timestamp": str(message.timestamp),
        "Sow-Position": str(message.position),
    }
    return Response(message.payload, media_type="application/octet-stream", headers=headers)


async def rows(request: Request) -> Response:
    topic = _topic(request)
    return StreamingResponse(topic.rows(_keys(await _bounded_body(request))), media_type=FRAMES)


async def snapshot(request: Request) -> Response:
    return StreamingResponse(_topic(request).snapshot(), media_type=FRAMES)


async def subscribe(request: Request) -> Response:
    return SubscriptionResponse(_topic(request))


_ROUTES: Final = [
    Route("/healthz", healthz),
    Route("/v1/topics/{topic}", status),
    Route("/v1/topics/{topic}/publish", publish, methods=["POST"]),
    Route("/v1/topics/{topic}/delete", delete, methods=["POST"]),
    Route("/v1/topics/{topic}/rows", rows, methods=["POST"]),
    Route("/v1/topics/{topic}/rows/{key:path}", row),
    Route("/v1/topics/{topic}/snapshot", snapshot),
    Route("/v1/topics/{topic}/subscribe", subscribe),
]


def make_app(topic: Topic, token: str) -> Starlette:
    """The application for one topic. It closes the topic's store when it stops."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        topic.store.close()

    app = Starlette(
        routes=_ROUTES,
        middleware=[Middleware(BearerToken, token=token)],
        exception_handlers={Problem: refuse, HTTPException: refuse_route, sqlite3.Error: refuse_storage},
        lifespan=lifespan,
    )
    app.state.topic = topic
    return app
