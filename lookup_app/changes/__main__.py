"""`python -m lookup_app.changes [--host H] [--port P]`: serves the change stream until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.routes import Routes
from lookup_app.changes.server import ChangesServer
from lookup_app.changes.settings import ChangesSettings, changes_settings
from lookup_app.changes.stream import make_streams
from lookup_app.files_limit import raise_limit_of_files
from lookup_app.protection.assembly import create_protection
from lookup_app.protection.settings import ProtectionSettings, protection_settings
from lookup_app.server_settings import server_settings


def main() -> None:
    """Serve until SIGTERM or SIGINT. What cannot be used of the settings is said in one line."""
    parser = argparse.ArgumentParser(prog="lookup_app.changes", description="The change stream.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8001, help="port to listen on (default: 8001)")
    options = parser.parse_args()
    try:
        configure_logging("changes")
        settings, protection, drain_s = changes_settings(), protection_settings(), server_settings().drain_s
        raise_limit_of_files()
        asyncio.run(_serve(settings, protection, drain_s, options.host, options.port))
    except (InstrumentCacheError, OSError) as error:
        raise SystemExit(f"changes: {error}") from None


async def _serve(
    settings: ChangesSettings, protection: ProtectionSettings, drain_s: float, host: str, port: int
) -> None:
    metrics = ChangesMetrics()
    streams = make_streams(settings, metrics)
    gate = create_protection(protection, list(streams), settings.redis_url).gate
    routes = Routes(streams, gate, settings, metrics)
    await ChangesServer(routes, streams, settings.heartbeat_s, drain_s).serve(host, port)


if __name__ == "__main__":
    main()
