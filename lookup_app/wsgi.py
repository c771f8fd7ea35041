"""What a WSGI server loads: `granian --interface wsgi lookup_app.wsgi:app`. Nothing is connected at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from lookup_app.app import create_app
from lookup_app.config import lookup_settings
from lookup_app.drain import drain_on_sigterm
from lookup_app.epochs import EpochHeader, watch_of
from lookup_app.fast_lane.opening import open_lane
from lookup_app.fast_lane.settings import handed_down
from lookup_app.hot_path.middleware import HotPath
from lookup_app.observation import create_observation
from lookup_app.orphans import end_with_server
from lookup_app.precedence import come_first
from lookup_app.protection.assembly import create_protection
from lookup_app.protection.settings import protection_settings
from lookup_app.sampling import sampling_settings
from lookup_app.server_settings import server_settings
from lookup_app.slow_body import BodyLimit


def _app() -> Callable[..., Any]:
    end_with_server()
    try:
        configure_logging("lookup")
        server = server_settings()
        drain_on_sigterm(server.drain_s)  # before any thread begins: each must have the signal blocked
        if server.real_time:
            come_first()
        settings = lookup_settings()
        names = [path.stem for path in settings.contract_paths]
        protection = create_protection(protection_settings(), names, settings.redis_url, settings.redis_timeout_s)
        observation = create_observation(sampling_settings(), server.metrics_folder)
        flask_app = create_app(settings, protection=protection, observation=observation)
        watch = watch_of(settings.redis_url, settings.redis_timeout_s, names)
        wsgi_app = EpochHeader(flask_app.wsgi_app, watch)
        if (lane := handed_down()) is not None:
            assert isinstance(flask_app.wsgi_app, HotPath), "there is a lane only with the hot path"
            open_lane(lane, flask_app.wsgi_app, wsgi_app, watch, settings.redis_timeout_s)
        return BodyLimit(wsgi_app, server.body_timeout_s, server.threads) if server.body_timeout_s else wsgi_app
    except InstrumentCacheError as error:
        raise SystemExit(f"lookup: {error}") from None


# Not the Flask object: each request would go through one more call.
app = _app()
