"""Secrets that rotate: whether consumers hold what is believed, and whether an exchange stands half way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from instrument_cache.doctor.model import Finding
from instrument_cache.settings import Environment

if TYPE_CHECKING:
    from instrument_cache.rotation.model import State

NAME: Final = "secrets"
_RUNBOOK: Final = "secret_rotation"
# An API key or a signing key takes its time; what takes longer was forgotten.
_LONG_S: Final = 86_400


def look_at_secrets(env: Environment) -> Iterator[Finding]:
    """One finding if all is well, else one for each secret that is not."""
    from instrument_cache.rotation.operation import SecretRotation  # it uses the doctor's words

    rotation = SecretRotation(env)
    states = rotation.states(rotation.chosen([]))
    troubles = [finding for state in states if (finding := _trouble(state))]
    yield from troubles
    if not troubles:
        yield Finding(NAME, "ok", f"{len(states)} secrets that rotate are what their consumers read")


def _trouble(state: State) -> Finding | None:
    told = state.sentence if state.name in state.sentence else f"{state.name}: {state.sentence}"
    if state.phase is None:
        why = "the system that believes it does not answer, or the place where it lies cannot be read"
        return Finding(NAME, "warn", told, why, "mend that; then icache secrets status", _RUNBOOK)
    if not state.ok:
        why = "somebody changed the secret by hand, in its slot or in the system"
        return Finding(NAME, "red", told, why, "write the secret that is in use into the slot", _RUNBOOK)
    if state.since_s > _LONG_S:
        why = "its run failed, or was killed; both secrets are good until it is finished"
        mend = f"icache secrets rotate {state.name}, or icache secrets rollback {state.name}"
        return Finding(NAME, "warn", told, why, mend, _RUNBOOK)
    return None
