"""What a restore would do: found out by a dry run, shown to who approves it, and carried out as it was shown."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from instrument_cache.backup.manifest import Manifest
from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.request import Mode, RestoreRequest


class Plan(msgspec.Struct, frozen=True):
    """`counts`: what would become of the entries of `backup`, whose copy in `region` was checked whole.

    `epoch` is the one that the cache stood in, and a roll back opens the next. Times are ISO.
    """

    dataset: str
    request: RestoreRequest
    backup: str
    region: str
    backup_at: str
    entries: int
    epoch: Epoch
    counts: Counts
    warnings: tuple[str, ...]
    planned_at: str

    @property
    def is_roll_back(self) -> bool:
        return self.request.mode is Mode.ROLL_BACK

    @property
    def sentence(self) -> str:
        """One line."""
        what = "Roll back" if self.is_roll_back else "Restore"
        return f"{what} {self.request.scope.text} of {self.dataset} to the backup {self.backup} of {self.backup_at}"

    @property
    def markdown(self) -> str:
        """For who approves it."""
        lines = [f"**{self.sentence}**", "", f"- asked by: {self.request.by}"]
        lines += [f"- reason: {self.request.reason}"] if self.request.reason else []
        lines += [f"- the backup: {self.entries} entries, checked whole in the {self.region} region"]
        lines += [f"- would become of them now: {self.counts.text}"]
        lines += [f"- {text}" for text in self._consequences()]
        lines += [f"- **look**: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _consequences(self) -> list[str]:
        if not self.is_roll_back:
            return ["nothing that is newer in the cache is overwritten; then it catches up from Kafka"]
        number = self.epoch.number + 1
        return [
            f"**newer data is overwritten**: {self.counts.replaced} replaced, {self.counts.removed} removed",
            f"opens epoch {number}, which readers and listeners are told, and pins it",
            "the stream goes on: what the source changes from now on is applied",
        ]


def make_plan(
    contract: Contract, request: RestoreRequest, manifest: Manifest, region: str, epoch: Epoch, counts: Counts
) -> Plan:
    """The plan, with what whoever approves it must know."""
    warnings = tuple(_warnings(contract, request, manifest, region, epoch))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Plan(
        dataset=contract.dataset,
        request=request,
        backup=manifest.name,
        region=region,
        backup_at=manifest.finished_at,
        entries=manifest.entries,
        epoch=epoch,
        counts=counts,
        warnings=warnings,
        planned_at=now,
    )


def _warnings(contract: Contract, request: RestoreRequest, manifest: Manifest, region: str, epoch: Epoch) -> list[str]:
    found: list[str] = []
    age_s = (datetime.now(UTC) - manifest.started).total_seconds()
    if age_s > contract.replay_s_max:
        found.append(
            f"the backup is {age_s / 86_400:.0f} days old, more than the longest replay of "
            f"{contract.replay_s_max // 86_400}: what was deleted since may come back until it is reconciled"
        )
    if request.region not in ("any", region):
        found.append(f"the {request.region} region was asked for; its copy could not be used, that of {region} is")
    if epoch.pinned and request.mode is Mode.RESTORE:
        found.append(f"epoch {epoch.number} is pinned to {epoch.backup}: what it rolled back may come back")
    if manifest.passed_over:
        found.append(f"the backup lacks {manifest.passed_over} keys that could not be read when it was made")
    return found
