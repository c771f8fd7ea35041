"""An export as a PDF: the overview and how to check it on its pages, the exact bytes as attachments."""

from __future__ import annotations

from typing import Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from instrument_cache.audit.entry import sha256
from instrument_cache.audit.export import Evidence, Export
from instrument_cache.audit.export_texts import CHECKER, about, steps

_FONT: Final = "helvetica"
_FIXED: Final = "courier"
_MARGIN_MM: Final = 14


def as_pdf(export: Export) -> bytes:
    """The document. Its fonts know Latin-1: any other character is a `?` on its pages, and whole in the attachments."""
    pdf = _Pages()
    pdf.set_title(f"Audit trail of {export.dataset}")
    pdf.set_creation_date(export.made_at)
    pdf.add_page()
    pdf.heading(f"Audit trail of {export.dataset}", 18)
    pdf.line_of("Nothing was altered." if export.verified.ok else "The trail was altered.", bold=True)
    for name, value in about(export):
        pdf.line_of(f"{name}: {value}")
    for finding in export.verified.findings:
        pdf.line_of(f"- {finding}", bold=True)
    _check(pdf, export)
    pdf.heading("What was reported and approved", 13)
    for one in export.evidence:
        _entry(pdf, one)
    for name, body in {**export.files(), "check_alone.py": CHECKER.encode()}.items():
        pdf.embed_file(bytes=body, basename=name.replace("/", "-"), desc=name, compress=True)
    return bytes(pdf.output())


def _check(pdf: _Pages, export: Export) -> None:
    pdf.heading("How to check it without us", 13)
    pdf.line_of(
        "The exact bytes of each entry, report and signature are attached to this document. They are embedded in the "
        "HTML of the same export too, for which these commands are written."
    )
    for number, (what, command) in enumerate(steps(export), 1):
        pdf.line_of(f"{number}. {what}:")
        pdf.fixed(command)


def _entry(pdf: _Pages, one: Evidence) -> None:
    late = ", chained late" if one.entry.late else ""
    pdf.line_of(
        f"{one.entry.number}  {one.entry.at[:19]}  {one.entry.kind}  {'good' if one.entry.ok else 'bad'}{late}", True
    )
    pdf.line_of(one.entry.sentence)
    pdf.fixed(f"{one.entry.report}\nreport {one.entry.sha256}\nentry  {sha256(one.raw)}")
    if not one.body or sha256(one.body) != one.entry.sha256:
        pdf.line_of("Its report is gone or was changed: it is not what was chained.", bold=True)


class _Pages(FPDF):
    """A4, with the number of each page."""

    def __init__(self) -> None:
        super().__init__(format="A4")
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(True, margin=_MARGIN_MM + 4)

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM)
        self.set_font(_FONT, size=8)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")

    def heading(self, text: str, size: int) -> None:
        self.ln(3)
        self._write(text, _FONT, "B", size, size / 2)

    def line_of(self, text: str, bold: bool = False) -> None:
        self._write(text, _FONT, "B" if bold else "", 9.5, 4.8)

    def fixed(self, text: str) -> None:
        self._write(text, _FIXED, "", 7.5, 3.6)

    def _write(self, text: str, font: str, style: str, size: float, height: float) -> None:
        self.set_font(font, style, size)
        known = text.encode("latin-1", "replace").decode("latin-1")
        self.multi_cell(0, height, known, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
