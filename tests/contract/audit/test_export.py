"""An export is enough to check it without us: with the program that it carries, with sha256sum and with OpenSSL."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from instrument_cache.audit.export import Export, export
from instrument_cache.audit.export_html import as_html
from instrument_cache.audit.export_pdf import as_pdf
from instrument_cache.audit.fact import fact_of
from instrument_cache.errors import AuditError
from instrument_cache.objects_memory import MemoryObjects
from tests.contract.audit.scene import Scene, destroy, flipped

HOSTILE = '<script>alert(1)</script> "—\u202e" download="entries/000000000001.json" href="data:a/b;base64,AAAA"'


@pytest.fixture
def scene() -> Scene:
    made = Scene(MemoryObjects("first"), MemoryObjects("second"), MemoryObjects("reports"), "instruments")
    made.fill(3)
    made.trail.record(fact_of(*made.write(4, sentence=HOSTILE, run_id=HOSTILE)))
    return made


def exported(scene: Scene) -> Export:
    now = datetime.now(UTC)
    return export(scene.audit, now - timedelta(hours=1), now + timedelta(hours=1))


def checked(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program that stands in the page."""
    program = re.search(r"check_alone.py</a></p><pre>(.*?)</pre>", page, re.DOTALL)
    assert program
    (folder / "check_alone.py").write_text(unescape(program[1]))
    (folder / "export.html").write_text(page, encoding="utf-8")
    command = [sys.executable, "-I", "check_alone.py", "export.html", "evidence"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def shell(command: str, folder: Path) -> str:
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_program_in_the_page_finds_every_byte_right(scene: Scene, tmp_path: Path) -> None:
    page = as_html(exported(scene))
    done = checked(page, tmp_path)
    assert done.stdout.startswith("0 wrong; the last entry is 4"), done
    entry = scene.entry(3)
    assert (tmp_path / "evidence/reports/000000000003.json").read_bytes() == scene.reports.get(entry.report)


def test_sha256sum_and_openssl_agree(scene: Scene, tmp_path: Path) -> None:
    page = as_html(exported(scene))
    checked(page, tmp_path)
    commands = [unescape(command) for command in re.findall(r"<li>.*?<pre>(.*?)</pre></li>", page, re.DOTALL)]
    assert shell(commands[1], tmp_path).count(": OK") == 8
    assert "Verified Successfully" in shell(commands[2], tmp_path / "evidence")


def test_a_byte_that_was_changed_in_the_export_is_found(scene: Scene, tmp_path: Path) -> None:
    found = exported(scene)
    changed = replace(found.evidence[1], body=flipped(found.evidence[1].body))
    done = checked(as_html(replace(found, evidence=[found.evidence[0], changed, *found.evidence[2:]])), tmp_path)
    assert done.returncode == 1
    assert "WRONG: entry 2" in done.stdout


def test_an_export_shows_what_was_altered(scene: Scene) -> None:
    scene.first.put_over(scene.document(2), flipped(scene.first.get(scene.document(2))))
    destroy(scene.second, scene.document(2))
    page = as_html(exported(scene))
    assert "The trail was altered." in page
    assert "these are not the bytes that were chained" in page


def test_texts_of_others_stay_texts(scene: Scene) -> None:
    page = as_html(exported(scene))
    assert "<script>" not in page
    assert page.count('download="entries/000000000001.json"') == 1
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_the_pdf_carries_the_exact_bytes(scene: Scene) -> None:
    pdf = as_pdf(exported(scene))
    assert pdf.startswith(b"%PDF-")
    streams = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            streams.append(zlib.decompress(stream))
        except zlib.error:
            continue
    for number in (1, 4):
        assert scene.first.get(scene.document(number)) in streams
        assert scene.first.get(scene.trail.names.entry(number)) in streams


def test_an_empty_time_is_refused(scene: Scene) -> None:
    now = datetime.now(UTC)
    with pytest.raises(AuditError, match="0 entries were chained"):
        export(scene.audit, now - timedelta(days=2), now - timedelta(days=1))
