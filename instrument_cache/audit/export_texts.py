"""What every export says beside its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from instrument_cache.audit.export import PUBLIC_KEYS, SUMS, Export

CHECKER: Final = Path(__file__).with_name("check_alone.py").read_text(encoding="utf-8")


def about(export: Export) -> list[tuple[str, str]]:
    """Name → value, for the head of the export."""
    checked = export.verified
    return [
        ("Dataset", export.dataset),
        ("Chained from", export.first.isoformat()),
        ("until before", export.last.isoformat()),
        ("Entries in this export", str(len(export.evidence))),
        ("Entries on the whole trail", str(export.newest)),
        ("Its newest entry (SHA-256)", checked.head),
        ("Made at", export.made_at.isoformat(timespec="seconds")),
        ("Verification of the whole trail", checked.sentence),
    ]


def steps(export: Export) -> list[tuple[str, str]]:
    """How to check the export without us: what to do, and the command."""
    last = export.evidence[-1]
    return [
        (
            "Save the program below as check_alone.py (it needs Python 3 alone). It writes the embedded files and "
            "checks each hash and each link",
            "python3 check_alone.py export.html evidence",
        ),
        ("Or check the hashes of the entries and reports with sha256sum", f"cd evidence && sha256sum -c {SUMS}"),
        (
            "Check a signature with OpenSSL 3. It says that the holder of the key vouched for this entry, and so for "
            "every entry before it",
            f"(printf 'icache audit anchor\\n'; cat entries/{last.number}.json) > message && openssl pkeyutl -verify "
            f"-pubin -inkey {PUBLIC_KEYS}/{last.key_id or 'KEY'}.pem -rawin -in message "
            f"-sigfile entries/{last.number}.sig",
        ),
        (
            "Compare the key with what you were given on another way, and the first entry's `previous` with the newest "
            "entry of an export that you kept from before",
            "grep previous entries/" + export.evidence[0].number + ".json",
        ),
    ]
