"""`ensure` and `stop`: what runs is made to be what should run."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from flink_jobs.launch.deployment import Deployment
from flink_jobs.launch.upgrade import Change, Outcome, Upgrade
from flink_jobs.launch.wanted import Configured, Wanted
from instrument_cache.errors import ObjectStoreUnavailable
from instrument_cache.flink_rest import Job

logger = structlog.get_logger()


def ensure(
    stream: Deployment,
    configured: Configured,
    upgrade: Upgrade,
    is_stalled: Callable[[str], bool] = lambda job_id: False,
) -> Outcome:
    """Recognise the job of the wanted release, or start it from the newest state of its generation.

    Settings that changed since the last launch deploy what they say, through the gate and once: a release that did not
    pass is not tried again.
    """
    stream.cluster.await_ready()
    try:
        stream.read(configured)
    except ObjectStoreUnavailable as error:
        return _leave_alone(stream, error)
    stream.settle()
    _end_stalled(stream, is_stalled)
    return _carry_out(stream, upgrade, _configured_change(stream, configured))


def _end_stalled(stream: Deployment, is_stalled: Callable[[str], bool]) -> None:
    """A job that stands still can make no savepoint: it goes on from its newest checkpoint."""
    job = stream.living()
    if job is not None and is_stalled(job.job_id):
        logger.warning("ending_stalled_job", job=job.job_id, name=job.name)
        stream.cluster.end(job.job_id)


def change(stream: Deployment, configured: Configured, upgrade: Upgrade, decide: Callable[[Wanted], Change]) -> Outcome:
    """Deploy what `decide` makes of the wanted state. Asked for again, it finds its work done."""
    stream.cluster.await_ready()
    stream.read(configured)
    stream.settle()
    return _carry_out(stream, upgrade, decide(stream.wanted))


def _carry_out(stream: Deployment, upgrade: Upgrade, change: Change) -> Outcome:
    """A change that changes nothing, or that is refused, still leaves the current release running."""
    current = stream.wanted.current
    if (change.release, change.parallelism) == (current.release, current.parallelism):
        _run_current(stream)
        return Outcome.DONE
    outcome = upgrade.deploy(change)
    if outcome is Outcome.REFUSED:
        _run_current(stream)
    return outcome


def _leave_alone(stream: Deployment, error: ObjectStoreUnavailable) -> Outcome:
    """Without S3 nothing can be started. One job that runs is better than none."""
    jobs = stream.cluster.living()
    if len(jobs) != 1:
        raise error
    logger.warning("wanted_state_unknown", error=str(error), job=jobs[0].job_id, action="left as it is")
    return Outcome.DONE


def _configured_change(stream: Deployment, configured: Configured) -> Change:
    """What the settings newly ask for, noted as asked before it is tried; without news, the current run."""
    asked, current = stream.wanted.configured, stream.wanted.current
    release = configured.version if configured.version != asked.version else current.release
    parallelism = configured.parallelism if configured.parallelism != asked.parallelism else current.parallelism
    if asked != configured:
        logger.info("settings_changed", release=configured.version, parallelism=configured.parallelism)
        if release == stream.here.version:
            stream.publish_here()
        stream.write(stream.wanted.asked(configured))
    return Change(release, parallelism)


def _run_current(stream: Deployment) -> Job:
    job = stream.living()
    if job is None:
        return stream.resume()
    logger.info("job_recognised", job=job.job_id, name=job.name, state=job.state)
    return stream.cluster.await_running(job.job_id)


def stop(stream: Deployment, configured: Configured) -> None:
    """Stop the stream with a savepoint, from which the next `ensure` goes on."""
    stream.cluster.await_ready()
    stream.read(configured)
    stream.settle()
    if stream.living() is None:
        logger.info("nothing_to_stop")
    stream.stop_current()
