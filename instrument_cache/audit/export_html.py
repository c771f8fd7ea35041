"""An export as one HTML file that needs nothing from elsewhere. The exact bytes are in its links to save them."""

from __future__ import annotations

import base64
from html import escape
from typing import Final

import msgspec

from instrument_cache.audit.entry import sha256
from instrument_cache.audit.export import Evidence, Export
from instrument_cache.audit.export_texts import CHECKER, about, steps

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #cf222e }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere } .wide { overflow-x: auto }
pre { white-space: pre-wrap; padding: .6rem; border: 1px solid var(--line); border-radius: .3rem; font-size: .8rem }
code { font-size: .85em; overflow-wrap: anywhere } summary { cursor: pointer; padding: .3rem 0 }
.good { color: var(--good) } .bad { color: var(--bad); font-weight: bold }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #ff7b72 } }
@media print { details > * { display: block } }
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(export: Export) -> str:
    """The page."""
    title = f"Audit trail of {export.dataset}"
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
            f"<style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            _about(export),
            _findings(export),
            _how_to_check(export),
            _overview(export),
            "<h2>Evidence</h2>",
            *(_evidence(one) for one in export.evidence),
            _other_files(export),
            "</main></body></html>\n",
        )
    )


def _about(export: Export) -> str:
    kind = "good" if export.verified.ok else "bad"
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in about(export)
    )
    verdict = "Nothing was altered." if export.verified.ok else "The trail was altered."
    return f"<p class='{kind}'>{verdict}</p><div class='wide'><table>{rows}</table></div>"


def _findings(export: Export) -> str:
    if export.verified.ok:
        return ""
    items = "".join(f"<li>{escape(str(finding))}</li>" for finding in export.verified.findings)
    return f"<h2>What is not as it was chained</h2><ul class='bad'>{items}</ul>"


def _how_to_check(export: Export) -> str:
    items = "".join(f"<li>{escape(what)}:<pre>{escape(command)}</pre></li>" for what, command in steps(export))
    return (
        f"<h2>How to check it without us</h2><ol>{items}</ol>"
        f"<details><summary>check_alone.py</summary><p>{_link('check_alone.py', CHECKER.encode())}</p>"
        f"<pre>{escape(CHECKER)}</pre></details>"
    )


def _overview(export: Export) -> str:
    rows = "".join(
        f"<tr><td><a href='#entry-{one.entry.number}'>{one.entry.number}</a></td><td>{escape(one.entry.at[:19])}</td>"
        f"<td>{escape(one.entry.kind)}</td><td>{'good' if one.entry.ok else 'bad'}{', late' if one.entry.late else ''}"
        f"</td><td>{escape(one.entry.sentence)}</td></tr>"
        for one in export.evidence
    )
    head = "<tr><th>Entry</th><th>Chained at (UTC)</th><th>Kind</th><th>Outcome</th><th>What it says</th></tr>"
    return f"<h2>What was reported and approved</h2><div class='wide'><table>{head}{rows}</table></div>"


def _evidence(one: Evidence) -> str:
    state = _state(one)
    saved = " · ".join(_link(name, body) for name, body in one.files())
    number, report = one.entry.number, escape(one.entry.report)
    return (
        f"<details id='entry-{number}'><summary>Entry {number}: {report}</summary>{state}<p>Save: {saved}</p>"
        f"<p>SHA-256 of the entry <code>{sha256(one.raw)}</code><br>"
        f"of the report <code>{escape(one.entry.sha256)}</code></p>"
        f"<pre>{escape(one.raw.decode(errors='replace'))}</pre>"
        f"<pre>{escape(_readable(one.body))}</pre></details>"
    )


def _state(one: Evidence) -> str:
    if not one.body:
        return "<p class='bad'>Its report is gone.</p>"
    if sha256(one.body) != one.entry.sha256:
        return "<p class='bad'>Its report was changed: these are not the bytes that were chained.</p>"
    return "" if one.signature else "<p class='bad'>No signature vouches for it.</p>"


def _readable(body: bytes) -> str:
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _other_files(export: Export) -> str:
    own = {name for one in export.evidence for name, _ in one.files()}
    links = " · ".join(_link(name, body) for name, body in export.files().items() if name not in own)
    return f"<h2>Hashes and keys</h2><p>{links}</p>"


def _link(name: str, body: bytes) -> str:
    kind = "application/json" if name.endswith(".json") else "application/octet-stream"
    data = base64.b64encode(body).decode()
    return f'<a download="{escape(name)}" href="data:{kind};base64,{data}">{escape(name)}</a>'
