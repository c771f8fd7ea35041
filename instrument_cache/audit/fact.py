"""What is to be chained, and how it is read from what was written: from its name and its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

_TITLE_MAX = 500


@dataclass(frozen=True, slots=True)
class Fact:
    """A report by the name under which it was written, with its bytes."""

    kind: str
    report: str
    body: bytes
    ok: bool
    sentence: str
    late: bool = False


def fact_of(report: str, body: bytes, late: bool = False) -> Fact:
    """Whatever it is: what cannot be read is chained too, as it is."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        return Fact("unreadable", report, body, False, "it is no JSON document", late)
    kind, ok, sentence = _told(report, document)
    return Fact(kind, report, body, ok, sentence[:_TITLE_MAX], late)


def _told(report: str, document: dict[str, Any]) -> tuple[str, bool, str]:
    """Its kind, whether it is good news, and one line."""
    if report.endswith("/intent.json"):
        count = len(document.get("identities") or ())
        return "dead_letter_replay_intent", True, f"{document.get('who')} is about to replay {count} dead letters"
    if report.endswith("/result.json"):
        status, counts = document.get("status"), document.get("counts")
        return "dead_letter_replay_result", status == "complete", f"the replay is {status}: {counts}"
    kind = str(document.get("operation", "unknown"))
    return kind, document.get("ok") is True, str(document.get("sentence", ""))
