"""What an auditor gets: the links of a time with the exact bytes of everything that is needed to check them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from instrument_cache.audit.entry import Entry, sha256
from instrument_cache.audit.service import Audit
from instrument_cache.audit.trail import ANCHOR
from instrument_cache.audit.truth import Link, Truth
from instrument_cache.audit.verify import Verified
from instrument_cache.backup.signing import decoded_key
from instrument_cache.errors import AuditError, ObjectMissing

ENTRIES_MAX: Final = 20_000
SUMS: Final = "SHA256SUMS"
PUBLIC_KEYS: Final = "keys"
# How RFC 8410 writes an ed25519 public key, before its 32 bytes.
_DER_HEAD: Final = bytes.fromhex("302a300506032b6570032100")


class _Signed(msgspec.Struct):
    payload: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One link: its bytes, those of its report (empty if it is gone), and the signature of the link, by which key."""

    entry: Entry
    raw: bytes
    body: bytes
    signature: bytes
    key_id: str

    @property
    def number(self) -> str:
        return f"{self.entry.number:012d}"

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name → exact bytes."""
        yield f"entries/{self.number}.json", self.raw
        if self.signature:
            yield f"entries/{self.number}.sig", self.signature
        if self.body:
            yield f"reports/{self.number}.json", self.body


@dataclass(frozen=True, slots=True)
class Export:
    """The evidence of the links that were chained in [first, last), and what `verify` said of the whole trail."""

    dataset: str
    first: datetime
    last: datetime
    made_at: datetime
    verified: Verified
    newest: int
    public_keys: dict[str, bytes]
    evidence: Sequence[Evidence]

    def files(self) -> dict[str, bytes]:
        """Everything that it holds, by name, and `SHA256SUMS`; there each report has the hash that its link names."""
        found = {f"{PUBLIC_KEYS}/{key_id}.pem": pem for key_id, pem in self.public_keys.items()}
        sums = []
        for one in self.evidence:
            found.update(one.files())
            sums.append(f"{sha256(one.raw)}  entries/{one.number}.json")
            sums.append(f"{one.entry.sha256}  reports/{one.number}.json")
        return {SUMS: ("\n".join(sums) + "\n").encode(), **found}


def export(
    audit: Audit, first: datetime, last: datetime, progress: Callable[[int, int], None] = lambda done, total: None
) -> Export:
    """Raises AuditError for an empty time or too many links, and ObjectStoreUnavailable."""
    truth, checked = audit.truth(), audit.verify()
    links = [link for _, link in sorted(truth.links.items()) if first <= datetime.fromisoformat(link.entry.at) < last]
    if not 0 < len(links) <= ENTRIES_MAX:
        raise AuditError(
            f"{len(links)} entries were chained from {first.isoformat()} to {last.isoformat()}; an export holds 1 to "
            f"{ENTRIES_MAX}: `icache audit list` shows their times"
        )
    signatures = _signatures(audit, truth)
    evidence = []
    for done, link in enumerate(links, 1):
        evidence.append(_evidence(audit, link, signatures))
        progress(done, len(links))
    keys = {sha256(raw)[:16]: _pem(raw) for raw in _raw_keys(audit)}
    return Export(audit.dataset, first, last, audit.trail.now(), checked, max(truth.links, default=0), keys, evidence)


def _raw_keys(audit: Audit) -> list[bytes]:
    return [decoded_key("ICACHE_BACKUP_PUBLIC_KEYS", text) for text in audit.trail.keys.public_keys]


def _pem(raw: bytes) -> bytes:
    return load_der_public_key(_DER_HEAD + raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _signatures(audit: Audit, truth: Truth) -> dict[int, str]:
    """Number → the region whose anchor vouches for the link."""
    return {
        number: region
        for region, anchors in truth.signed.items()
        for number, raw in anchors.items()
        if number in truth.links and truth.links[number].raw == raw
    }


def _evidence(audit: Audit, link: Link, signatures: dict[int, str]) -> Evidence:
    signature, key_id = b"", ""
    if region := signatures.get(link.entry.number):
        objects = next(found.objects for found in audit.trail.regions if found.name == region)
        signed = msgspec.json.decode(objects.get(audit.trail.names.anchor(link.entry.number)), type=_Signed)
        assert signed.payload == link.raw, ANCHOR
        signature, key_id = signed.signature, signed.key_id
    return Evidence(link.entry, link.raw, _body(audit, link.entry), signature, key_id)


def _body(audit: Audit, entry: Entry) -> bytes:
    """The bytes that the link names, from whichever region has them; else what is there; else nothing."""
    found = b""
    for region in audit.trail.regions:
        try:
            found = region.objects.get(audit.trail.names.document(entry.report))
        except ObjectMissing:
            continue
        if sha256(found) == entry.sha256:
            return found
    return found
