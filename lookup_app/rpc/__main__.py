"""`python -m lookup_app.rpc [--host H] [--port P] [--operations-port P]`: the lookup service over gRPC."""

from __future__ import annotations

import argparse
import asyncio

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.settings import ChangesSettings, changes_settings
from lookup_app.changes.stream import make_streams
from lookup_app.config import LookupSettings, lookup_settings
from lookup_app.epochs import watch_of
from lookup_app.files_limit import raise_limit_of_files
from lookup_app.metrics import LookupMetrics
from lookup_app.protection.assembly import create_protection
from lookup_app.protection.settings import ProtectionSettings, protection_settings
from lookup_app.rpc.server import RpcServer
from lookup_app.rpc.servicer import Parts
from lookup_app.rpc.settings import RpcSettings, rpc_settings
from lookup_app.server_settings import ServerSettings, server_settings
from lookup_app.wiring import create_backing, create_datasets, load_contracts


def main() -> None:
    """Serve until SIGTERM or SIGINT. What cannot be used of the settings is said in one line."""
    parser = argparse.ArgumentParser(prog="lookup_app.rpc", description="The lookup service over gRPC.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8002, help="port of gRPC (default: 8002)")
    parser.add_argument(
        "--operations-port", type=int, default=8003, help="port of /readyz and /metrics (default: 8003)"
    )
    options = parser.parse_args()
    try:
        configure_logging("rpc")
        settings, server = rpc_settings(), server_settings()
        raise_limit_of_files()
        asyncio.run(_serve(settings, server, options))
    except (InstrumentCacheError, OSError, RuntimeError) as error:
        raise SystemExit(f"rpc: {error}") from None


async def _serve(settings: RpcSettings, server: ServerSettings, options: argparse.Namespace) -> None:
    parts = _parts(lookup_settings(), protection_settings(), changes_settings())
    await RpcServer(parts, settings, server).serve(options.host, options.port, options.operations_port)


def _parts(settings: LookupSettings, protection: ProtectionSettings, changes: ChangesSettings) -> Parts:
    backing = create_backing(settings, load_contracts(settings))
    datasets = create_datasets(settings, backing)
    metrics, changes_metrics = LookupMetrics(datasets.check), ChangesMetrics(of_process=False)
    backing.count_reads(metrics.reads)
    return Parts(
        datasets,
        make_streams(changes, changes_metrics),
        create_protection(protection, datasets.names, settings.redis_url, settings.redis_timeout_s),
        metrics,
        changes_metrics,
        changes,
        settings.batch_ids_max,
        watch_of(settings.redis_url, settings.redis_timeout_s, datasets.names),
    )


if __name__ == "__main__":
    main()
