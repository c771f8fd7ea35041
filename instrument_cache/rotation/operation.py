"""Rotation of a deployment's secrets: looked at, switched, finished, reported. For the DAG and `icache secrets`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import msgspec
import redis

from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError, RotationError
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import operation_lock
from instrument_cache.reports import Report, publish
from instrument_cache.rotation.assembly import rotation_of
from instrument_cache.rotation.exchange import Rotation
from instrument_cache.rotation.model import Phase, State
from instrument_cache.rotation.settings import RotationSettings, rotation_settings
from instrument_cache.settings import Environment, environment, redis_url, s3_settings
from instrument_cache.under_way import under_way

OPERATION: Final = "secret_rotation"


class Looked(msgspec.Struct, frozen=True):
    """What became of one secret, for people."""

    name: str
    ok: bool
    sentence: str


class SecretRotation:
    """Methods raise Unavailable; all can be done again. No secret leaves them."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError."""
        self._env = env or environment()
        self.settings: RotationSettings = rotation_settings(self._env)
        self.dataset = self._env.text("ICACHE_DATASET", "instruments")

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Those names, or all. Raises SettingsError for one that is not there."""
        return [self.settings.secret(name).name for name in names] or [each.name for each in self.settings.secrets]

    def rotation(self, name: str) -> Rotation:
        """Raises SettingsError."""
        return rotation_of(self._env, self.settings, self.settings.secret(name))

    def states(self, names: Sequence[str]) -> list[State]:
        """How far each is; nothing is changed."""
        return [self._state(name) for name in names]

    def switch(self, names: Sequence[str], run_id: str, back: bool = False) -> dict[str, str]:
        """Begin, or go on, up to the point where both secrets are good. Consumers are told as soon as that is safe.

        With `back` what is under way is turned back, and nothing is begun. Returns name → why it could not be done.
        """
        with self._alone("switch", run_id):
            return {name: self._switch(name, back) for name in names}

    def finish(self, names: Sequence[str], run_id: str) -> dict[str, str]:
        """Go on with each, and end those whose old secret nobody needs. Returns the others: what each waits for.

        Raises RotationError if an old secret was asked for after it had gone: it is good again, the others are done.
        """
        waiting, refused = {}, []
        with self._alone("finish", run_id):
            for name in names:
                rotation = self.rotation(name)
                rotation.switch()
                if reason := rotation.waits_for():
                    waiting[name] = reason
                    continue
                try:
                    rotation.finish()
                except RotationError as error:
                    refused.append(str(error))
        if refused:
            raise RotationError("; ".join(refused))
        return waiting

    def outcome(self, names: Sequence[str], switched: Mapping[str, str] | None) -> list[Looked]:
        """What became of each; `switched` is what `switch` returned, None if it did not come to its end."""
        return [self._looked(name, switched) for name in names]

    def publish(self, run_id: str, started_at: str, looked: Sequence[Looked], back: bool) -> Report:
        """Publish the report; of one run there is one."""
        report = Report(
            dataset=self.dataset,
            operation=OPERATION,
            run_id=run_id,
            started_at=started_at,
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ok=all(each.ok for each in looked),
            sentence=sentence(looked, back),
            numbers={"secrets": float(len(looked)), "open": float(sum(not each.ok for each in looked))},
            details={"roll_back": back, "secrets": msgspec.to_builtins(looked)},
        )
        publish(ObjectStore(s3_settings(self._env)), self._client, report)
        return report

    @cached_property
    def _client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="rotation")

    @contextmanager
    def _alone(self, step: str, run_id: str) -> Iterator[None]:
        with (
            under_way(self._client, self.dataset, OPERATION, step, run_id),
            operation_lock(self._client, self.dataset, OPERATION, run_id),
        ):
            yield

    def _state(self, name: str) -> State:
        try:
            return self.rotation(name).state()
        except InstrumentCacheError as error:
            return State(name, None, False, sentence=str(error))

    def _switch(self, name: str, back: bool) -> str:
        rotation = self.rotation(name)
        try:
            rotation.turn_back() if back else rotation.begin()
            rotation.switch()
        except RotationError as error:
            return str(error)
        return ""

    def _looked(self, name: str, switched: Mapping[str, str] | None) -> Looked:
        if switched is None:
            return Looked(name, False, "not every step before was done: the log of the task `switch` says why")
        if switched.get(name):
            return Looked(name, False, switched[name])
        state = self._state(name)
        if state.phase is Phase.IDLE:
            return Looked(name, state.ok, state.sentence)
        return Looked(name, False, f"{state.sentence}; both secrets are good: run it again to finish, or roll back")


def sentence(looked: Sequence[Looked], back: bool) -> str:
    """One line for people."""
    bad = [f"{each.name}: {each.sentence}" for each in looked if not each.ok]
    done = f"{len(looked) - len(bad)} of {len(looked)} secrets {'rolled back' if back else 'rotated'}"
    return "; ".join([done, *bad])
