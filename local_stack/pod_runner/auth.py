"""The bearer token: asked of every request but /healthz, compared in constant time."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from local_stack.pod_runner.status import ApiError

OPEN_PATHS = ("/healthz",)


class BearerToken:
    """ASGI middleware that answers 401 to requests without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it may be answered."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        message = "Unauthorized: send the runner's token as 'Authorization: Bearer TOKEN'"
        answer = ApiError(401, "Unauthorized", message).response({"WWW-Authenticate": "Bearer"})
        await answer(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "")
        return hmac.compare_digest(given.encode("latin-1"), self._expected)
