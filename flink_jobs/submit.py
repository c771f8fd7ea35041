"""Sees to it that exactly one job of a dataset runs, and that it is the release that should run.

    python -m flink_jobs.submit ensure | stop | upgrade | rollback | scale N | versions

It runs as a pod. What it finds decides, never what an earlier try remembers: it may be killed anywhere and run again.
Exit codes: 0 done, 1 an error (the last line says which), 3 the new release was given up and the one before runs again,
4 refused before anything was touched, 5 nothing runs now (the next `ensure` tries again).
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Final

import redis
import structlog

from flink_jobs.launch import launcher
from flink_jobs.launch.cluster import Cluster
from flink_jobs.launch.deployment import Deployment
from flink_jobs.launch.gate import GateLimits, gate_limits
from flink_jobs.launch.lock import alone
from flink_jobs.launch.ordered import OrderedChange
from flink_jobs.launch.overview import overview
from flink_jobs.launch.release import local_release
from flink_jobs.launch.release_store import ReleaseStore
from flink_jobs.launch.upgrade import STATES, Change, Outcome, Upgrade
from flink_jobs.launch.wanted import Configured, Wanted
from flink_jobs.launch.wanted_log import WantedLog
from flink_jobs.restore_points import RestorePoints
from instrument_cache.connections import redis_client, s3_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.flink_rest import FlinkRest
from instrument_cache.freshness import is_stalled
from instrument_cache.logs import configure_logging
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, environment, redis_url, s3_settings
from instrument_cache.store.redis import RedisStore

logger = structlog.get_logger()

# Added to the gate's time: whoever comes during an upgrade waits for its end.
_LOCK_WAIT_S: Final = 150.0
_ANY_SHARE: Final = 100.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    configure_logging("submit")
    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    objects, log, releases = _kept(env, dataset)
    if options.action == "versions":
        print(json.dumps(overview(log.read(), releases.versions()), indent=2))
        return 0
    limits = gate_limits(env)
    if getattr(options, "gate_s", None):
        limits = GateLimits(options.gate_s, limits.reject_percent_max)
    here = local_release(env)
    configured = Configured(here.version, env.integer("ICACHE_JOB_PARALLELISM", default=0, low=0, high=1024))
    s3 = s3_settings(env)
    stream = Deployment(
        cluster=Cluster(FlinkRest(env.text("ICACHE_FLINK_URL")), dataset),
        log=log,
        releases=releases,
        points=RestorePoints(s3_client(s3), s3.bucket, dataset),
        here=here,
    )
    with alone(redis_url(env), dataset, wait_s=limits.gate_s + _LOCK_WAIT_S):
        client = redis_client(redis_url(env), name="submit")
        ordered = OrderedChange(objects, client, dataset, options.run) if getattr(options, "run", None) else None
        return _act(options, stream, configured, client, dataset, limits, ordered)


def _kept(env: Environment, dataset: str) -> tuple[ObjectStore, WantedLog, ReleaseStore]:
    settings = s3_settings(env)
    client = s3_client(settings)
    objects = ObjectStore(settings, client)
    return objects, WantedLog(objects, dataset, client, settings.bucket), ReleaseStore(objects, dataset)


def _act(
    options: argparse.Namespace,
    stream: Deployment,
    configured: Configured,
    client: redis.Redis,
    dataset: str,
    limits: GateLimits,
    ordered: OrderedChange | None,
) -> Outcome:
    counters = RedisStore(client, dataset).counters
    if options.action == "stop":
        launcher.stop(stream, configured)
        return Outcome.DONE
    if options.action == "ensure":
        stalled = partial(is_stalled, client, dataset)
        return launcher.ensure(stream, configured, Upgrade(stream, counters, limits), stalled)
    if options.action != "upgrade":
        # The code has been proven; what it rejects by right may be more than what the other one did.
        limits = GateLimits(limits.gate_s, _ANY_SHARE)
    upgrade = Upgrade(stream, counters, limits)
    carry_out = partial(launcher.change, stream, configured, upgrade)
    decide = partial(_change, options, stream)
    return ordered.carry_out(upgrade, counters, decide, carry_out) if ordered else carry_out(decide)


def _change(options: argparse.Namespace, stream: Deployment, wanted: Wanted) -> Change:
    current = wanted.current
    parallelism = options.parallelism or current.parallelism
    if options.action == "scale":
        return Change(current.release, parallelism)
    if options.action == "rollback":
        release = options.to or wanted.newest_good()
        return Change(release, parallelism, state=options.state, verdict="rolled back")
    if options.to is None:
        stream.releases.publish(stream.here)
    return Change(options.to or stream.here.version, parallelism, state=options.state)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flink_jobs.submit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("ensure", help="run what should run")
    actions.add_parser("stop", help="stop with a savepoint")
    actions.add_parser("versions", help="print the releases and what became of each, as JSON")
    changes = []
    for action, what in (("upgrade", "deploy this image's code, or a published release"), ("rollback", "go back")):
        change = actions.add_parser(action, help=what)
        changes.append(change)
        change.add_argument("--to", metavar="VERSION", help="a published release")
        change.add_argument("--from", dest="state", choices=STATES, default=STATES[0], help="where it begins")
        change.add_argument("--parallelism", type=_parallelism, metavar="N", help="1 to 1024; else as it is")
    scale = actions.add_parser("scale", help="resume with another parallelism")
    scale.add_argument("parallelism", type=_parallelism, metavar="N", help="1 to 1024")
    for change in (*changes, scale):
        change.add_argument("--gate-s", type=float, metavar="S", help="how long it is watched; else as it is set")
        change.add_argument("--run", metavar="ID", help="a run of stream_upgrade: decide once, report once, end with 0")
    return parser


def _parallelism(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1024")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InstrumentCacheError as failure:
        logger.error("failed", error=str(failure))
        sys.exit(1)
