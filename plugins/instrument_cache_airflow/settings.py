"""Settings of the Airflow side, read from the environment whenever a task runs."""

from __future__ import annotations

from dataclasses import dataclass

from instrument_cache.settings import environment


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Where the job is and what counts as trouble. Times in seconds."""

    flink_url: str
    dataset: str
    poll_s: int
    gone_s: int
    unreachable_s: int
    checkpoint_age_s_max: int


def watch_settings() -> WatchSettings:
    """Raises SettingsError for a value that cannot be used."""
    env = environment()
    return WatchSettings(
        flink_url=env.text("ICACHE_FLINK_URL", "http://127.0.0.1:8081"),
        dataset=env.text("ICACHE_DATASET", "instruments"),
        poll_s=env.integer("ICACHE_WATCH_POLL_S", 5, 1, 300),
        gone_s=env.integer("ICACHE_WATCH_GONE_S", 10, 0, 3600),
        unreachable_s=env.integer("ICACHE_WATCH_UNREACHABLE_S", 120, 1, 3600),
        checkpoint_age_s_max=env.integer("ICACHE_WATCH_CHECKPOINT_AGE_S_MAX", 300, 1, 86_400),
    )


def watchdog_missing_s() -> int:
    """How long the job must be missing, although a run watches it, before the watchdog steps in."""
    return environment().integer("ICACHE_WATCHDOG_MISSING_S", 60, 0, 600)
