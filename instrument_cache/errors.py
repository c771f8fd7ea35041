"""Every error the product raises on purpose. Each message names the value, the rule it breaks and the way out."""

from __future__ import annotations


class InstrumentCacheError(Exception):
    """Root of the tree: catch this to catch all that the product raises on purpose."""


class SettingsError(InstrumentCacheError):
    """A setting is missing or has a value that cannot be used."""


class ContractError(InstrumentCacheError):
    """A contract file cannot be read, or contradicts itself."""


class IdentifierError(InstrumentCacheError):
    """A text is not an identifier of its kind.

    `rule` is the stable name of the broken rule (`length`, `characters`, `check_digit`, …), `value` the text.
    """

    def __init__(self, kind: str, value: str, rule: str, detail: str) -> None:
        super().__init__(f"{kind} {value[:40]!r} breaks the rule {rule!r}: {detail}")
        self.kind, self.value, self.rule, self.detail = kind, value, rule, detail


class RejectedChange(InstrumentCacheError):
    """A message that is not a valid change. `code` is the stable reason, the text says the rest."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class UnknownSchema(InstrumentCacheError):
    """The schema registry knows no schema of that id."""


class SchemaUnusable(InstrumentCacheError):
    """A schema is registered, but changes cannot be read with it."""


class Unavailable(InstrumentCacheError):
    """A part that should answer does not. Trying again later is the way out."""


class StoreUnavailable(Unavailable):
    """Redis does not answer, or refuses to read or write."""


class SourceUnavailable(Unavailable):
    """The source of instruments does not answer, or broke off its stream."""


class LogUnavailable(Unavailable):
    """Kafka does not answer."""


class ObjectStoreUnavailable(Unavailable):
    """S3 does not answer, or refuses to read or write."""


class ObjectMissing(ObjectStoreUnavailable):
    """S3 answers, and has no object of that name."""


class BackupError(InstrumentCacheError):
    """A backup that was not made, or does not count as good."""


class BackupRefused(BackupError):
    """A backup that must not be used, whole. `rule` is the stable name of the broken rule.

    unsigned, altered, truncated, missing_shard, foreign_dataset, future_contract, future_format, wrong_key, not_good,
    unknown.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"the backup is refused ({rule}): {detail}")
        self.rule, self.detail = rule, detail


class DeadLetterError(InstrumentCacheError):
    """A dead letter, a patch or a replay that cannot be used as it is."""


class ScratchUnavailable(Unavailable):
    """A server of a moment does not start here: its binary is missing, or the disk is full."""


class RestoreRefused(InstrumentCacheError):
    """A restore that cannot be done as it was asked for. Nothing was written."""


class RegistryUnavailable(Unavailable):
    """The schema registry does not answer, or not as a registry does."""


class DrillFailed(InstrumentCacheError):
    """A drill could not be carried out to its end: it says nothing about the product, only that it was not proved."""


class SpoolFull(Unavailable):
    """The disk takes no more of what an operation keeps there for a moment."""


class ReconcileError(InstrumentCacheError):
    """A comparison, its plan or an approval that cannot be used as it is."""


class AuditError(InstrumentCacheError):
    """The audit trail cannot be used as it is, or is asked for what it does not hold."""


class QualityError(InstrumentCacheError):
    """A check of the data's quality that could not be made, or a result of one that cannot be used."""


class HolderUnavailable(Unavailable):
    """The place where secrets lie for their consumers does not answer, or refuses to read or write."""


class RotationError(InstrumentCacheError):
    """A secret that cannot be rotated as it is. No consumer is worse off than before."""
