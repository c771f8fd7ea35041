"""Secrets in one Secret of Kubernetes, by its API: pods mount it, and the kubelet brings a change to them.

Several slots change at once. A key of the Secret that a pod takes as an environment variable, or by `subPath`, does not
change until the pod is started again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from instrument_cache.errors import HolderUnavailable, SettingsError

_TIMEOUT_S: Final = 10


class SecretHolder:
    """Implements `Holder`. It needs the rights `get` and `patch` for this one Secret."""

    def __init__(self, namespace: str, name: str, connect: Callable[[], Any] | None = None) -> None:
        """`connect` gives a `CoreV1Api`; without one it is that of the cluster in which this process runs."""
        self._namespace, self._name, self._connect = namespace, name, connect or _in_cluster

    def read(self, slot: str) -> str | None:
        held = self._call("read_namespaced_secret").data or {}
        if slot not in held:
            return None
        try:
            return base64.b64decode(held[slot], validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            raise HolderUnavailable(f"the slot {slot!r} of {self._place} holds no text") from None

    def write(self, values: Mapping[str, str | None]) -> None:
        encoded = {slot: value and base64.b64encode(value.encode()).decode() for slot, value in values.items()}
        self._call("patch_namespaced_secret", {"data": encoded})

    def _call(self, method: str, *body: Any) -> Any:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return getattr(self._api, method)(self._name, self._namespace, *body, _request_timeout=_TIMEOUT_S)
        except ApiException as error:  # its body may quote what was sent
            raise HolderUnavailable(f"{self._place} cannot be used: {error.status} {error.reason}") from None
        except HTTPError as error:
            raise HolderUnavailable(f"{self._place} cannot be used: {type(error).__name__}") from None

    @cached_property
    def _api(self) -> Any:
        return self._connect()

    @property
    def _place(self) -> str:
        return f"the Secret {self._namespace}/{self._name}"


def _in_cluster() -> Any:
    from kubernetes import client, config

    try:
        config.load_incluster_config()
    except config.ConfigException as error:
        raise SettingsError(
            f"ICACHE_ROTATION_HOLDER names a Secret, and this process does not run in a cluster: {error}"
        ) from None
    return client.CoreV1Api()
