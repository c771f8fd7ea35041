"""Which backups there are. Offered are only good ones: signed, of this dataset, restored and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import msgspec

from instrument_cache.backup.manifest import FORMAT, Good, Manifest, digest, good_key, manifest_key, name_in, prefix
from instrument_cache.backup.region import Region
from instrument_cache.backup.signing import GOOD, MANIFEST, SigningKeys
from instrument_cache.contract import Contract
from instrument_cache.errors import BackupRefused, ObjectMissing, ObjectStoreUnavailable

T = TypeVar("T")


class BackupCatalog:
    """The backups of one dataset in some regions; what one of them lacks, another may have.

    Methods raise ObjectStoreUnavailable only if no region answers. BackupRefused names the broken rule.
    """

    def __init__(self, regions: Sequence[Region], dataset: str, keys: SigningKeys, contract: Contract) -> None:
        self.regions, self.dataset, self.keys = list(regions), dataset, keys
        self._contract = contract

    def names(self) -> list[str]:
        """Every backup with a manifest, good or not, the newest first."""
        return _newest_first(self._listed("manifests/"))

    def good_names(self) -> list[str]:
        """Every backup that is marked as good, the newest first; the marks are not yet checked."""
        return _newest_first(self._listed("good/"))

    def good(self) -> list[Manifest]:
        """The good backups, the newest first. What breaks a rule is left out: `named` says why."""
        return sorted(self.each_good(), key=lambda manifest: (manifest.started_at, manifest.name), reverse=True)

    def each_good(self) -> Iterator[Manifest]:
        """The same one by one, by name: each is looked at only when it is asked for."""
        listed = self._listed("good/")
        for name in _newest_first(listed):
            having = [region for region, names in listed if name in names]
            with suppress(BackupRefused, ObjectStoreUnavailable):
                yield self._named(name, having)[0][1]

    def newest_good(self) -> Manifest:
        """Raises BackupRefused if there is none."""
        return self._first(self.good(), "there is no good backup; `icache backup run` makes one")

    def as_of(self, moment: datetime) -> Manifest:
        """The newest good backup whose every entry is at most as new as `moment`."""
        before = [manifest for manifest in self.good() if datetime.fromisoformat(manifest.finished_at) <= moment]
        return self._first(
            before, f"no good backup was finished by {moment.isoformat()}; `icache backup list` shows all"
        )

    def _first(self, found: Sequence[Manifest], otherwise: str) -> Manifest:
        if not found:
            raise BackupRefused("unknown", otherwise)
        return found[0]

    def named(self, name: str) -> Manifest:
        """A good backup by its name."""
        return self.copies(name)[0][1]

    def copies(self, name: str) -> list[tuple[Region, Manifest]]:
        """The regions that have the manifest and the mark of a good backup, untouched; at least one."""
        return self._named(name, self.regions)

    def _named(self, name: str, regions: Sequence[Region]) -> list[tuple[Region, Manifest]]:
        found: list[tuple[Region, Manifest]] = []
        refusals: list[BackupRefused] = []
        away: list[ObjectStoreUnavailable] = []
        for region in regions:
            try:
                found.append((region, self.checked(region, name)))
            except BackupRefused as refused:
                refusals.append(refused)
            except ObjectStoreUnavailable as error:
                away.append(error)
        if not found and refusals:
            # That a region has none says the least.
            raise min(refusals, key=lambda refused: refused.rule == "unknown")
        if not found:
            raise away[0]
        return found

    def checked(self, region: Region, name: str) -> Manifest:
        """The manifest of a good backup in one region."""
        manifest, body = self._manifest(region, name)
        what = f"the mark of {name} in the {region.name} region"
        try:
            mark = self.keys.verified(GOOD, region.objects.get(good_key(self.dataset, name)), what)
        except ObjectMissing:
            raise BackupRefused("not_good", f"{name} was not verified; `icache backup verify {name}` does it") from None
        good = _decoded(mark, Good, what)
        if (good.name, good.dataset, good.manifest_sha256) != (name, self.dataset, digest(body)):
            raise BackupRefused("not_good", f"{what} belongs to another backup: {good.dataset} {good.name}")
        return manifest

    def manifest(self, region: Region, name: str) -> Manifest:
        """The signed manifest of one region, good or not."""
        return self._manifest(region, name)[0]

    def _manifest(self, region: Region, name: str) -> tuple[Manifest, bytes]:
        what = f"the manifest of {name} in the {region.name} region"
        try:
            body = region.objects.get(manifest_key(self.dataset, name))
        except ObjectMissing:
            raise self._unknown(name) from None
        payload = self.keys.verified(MANIFEST, body, what)
        self._check_format(payload, what)
        manifest = _decoded(payload, Manifest, what)
        self._check(manifest, name)
        return manifest, body

    def _unknown(self, name: str) -> BackupRefused:
        return BackupRefused(
            "unknown", f"there is no backup {name!r} of {self.dataset}; `icache backup list` shows all"
        )

    def _check_format(self, payload: bytes, what: str) -> None:
        found = _decoded(payload, _Format, what)
        if found.format > FORMAT:
            raise BackupRefused(
                "future_format",
                f"{what} has format {found.format}; this release reads up to {FORMAT}: upgrade it first",
            )

    def _check(self, manifest: Manifest, name: str) -> None:
        if manifest.dataset != self.dataset:
            raise BackupRefused("foreign_dataset", f"{name} is of {manifest.dataset!r}, not of {self.dataset!r}")
        if manifest.name != name:
            raise BackupRefused("altered", f"the manifest of {manifest.name} lies under the name {name}")
        if _parts(manifest.contract_version) > _parts(self._contract.version):
            raise BackupRefused(
                "future_contract",
                f"{name} was made with contract {manifest.contract_version}, here is {self._contract.version}: "
                "install that release first",
            )

    def _listed(self, kind: str) -> list[tuple[Region, set[str]]]:
        """Each region that answers, and the names of what lies there under `kind`."""
        found: list[tuple[Region, set[str]]] = []
        away: list[ObjectStoreUnavailable] = []
        for region in self.regions:
            try:
                keys = list(region.objects.keys(f"{prefix(self.dataset)}{kind}"))
                found.append((region, {name for key in keys if (name := name_in(key))}))
            except ObjectStoreUnavailable as error:
                away.append(error)
        if away and not found:
            raise away[0]
        return found


def _newest_first(listed: Sequence[tuple[Region, set[str]]]) -> list[str]:
    return sorted({name for _, names in listed for name in names}, reverse=True)


class _Format(msgspec.Struct):
    format: int


def _decoded(payload: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError as error:
        raise BackupRefused("altered", f"{what} was signed, but is none: {error}") from None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
