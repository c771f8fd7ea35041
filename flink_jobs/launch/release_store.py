"""Releases in S3: `releases/DATASET/VERSION/`, written once, so that the previous version needs no old image."""

from __future__ import annotations

import time

import msgspec

from flink_jobs.launch.release import Release, ReleaseError, release_of_archive
from instrument_cache.objects import ObjectStore


class Published(msgspec.Struct, frozen=True):
    """What is known of a published release. `published_us` is microseconds since 1970, `size` the archive's bytes."""

    version: str
    digest: str
    size: int
    published_us: int


class ReleaseStore:
    """The releases of one dataset. Every method raises ObjectStoreUnavailable if S3 does not answer."""

    def __init__(self, objects: ObjectStore, dataset: str) -> None:
        self._objects = objects
        self._folder = f"releases/{dataset}"

    def publish(self, release: Release) -> Published:
        """Keep a release. Again is harmless; other code under a known version raises ReleaseError."""
        archive = release.archive()
        told = Published(release.version, release.digest, len(archive), time.time_ns() // 1000)
        # The archive's name is its content, and the description comes last: a broken publication leaves no release.
        self._objects.put_once(self._archive(told), archive)
        if self._objects.put_once(self._description(release.version), msgspec.json.encode(told)):
            return told
        known = self.described(release.version)
        if known.digest != release.digest:
            raise ReleaseError(
                f"release {release.version!r} was published with other code (digest {known.digest[:12]}, "
                f"here {release.digest[:12]}); give this code another ICACHE_JOB_VERSION"
            )
        return known

    def has(self, version: str) -> bool:
        """True if the version was published."""
        description = self._description(version)
        return description in self._objects.keys(description)

    def described(self, version: str) -> Published:
        """Raises ReleaseError for a version that was never published."""
        if not self.has(version):
            known = ", ".join(release.version for release in self.versions()) or "none"
            raise ReleaseError(f"there is no release {version!r}; published are: {known}")
        return msgspec.json.decode(self._objects.get(self._description(version)), type=Published)

    def versions(self) -> list[Published]:
        """Every release, newest first."""
        keys = [key for key in self._objects.keys(f"{self._folder}/") if key.endswith("/release.json")]
        found = [msgspec.json.decode(self._objects.get(key), type=Published) for key in keys]
        return sorted(found, key=lambda release: -release.published_us)

    def fetch(self, version: str) -> Release:
        """The release, checked against its digest. Raises ReleaseError if it is unknown or damaged."""
        told = self.described(version)
        return release_of_archive(version, told.digest, self._objects.get(self._archive(told)))

    def _description(self, version: str) -> str:
        return f"{self._folder}/{version}/release.json"

    def _archive(self, told: Published) -> str:
        return f"{self._folder}/{told.version}/{told.digest}.zip"
