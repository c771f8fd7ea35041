"""Printed into every export, for whoever wants to check it without us: it needs Python 3 and nothing else.

python3 check_alone.py export.html folder
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
folder = pathlib.Path(sys.argv[2])
for name, body in re.findall(r'download="([\w./-]+)" href="data:[\w/+-]+;base64,([^"]*)"', page):
    if ".." in name or name.startswith("/"):
        sys.exit(f"WRONG: a file is named {name}")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(base64.b64decode(body))

wrong, before, number = 0, None, None
for path in sorted((folder / "entries").glob("*.json")):
    raw = path.read_bytes()
    entry = json.loads(raw)
    report = folder / "reports" / path.name
    found = {
        "its report": report.exists() and hashlib.sha256(report.read_bytes()).hexdigest() == entry["sha256"],
        "the entry before it": before is None or entry["previous"] == before,
        "its number": number is None or entry["number"] == number + 1,
    }
    for what in (what for what, good in found.items() if not good):
        wrong += 1
        print(f"WRONG: entry {entry['number']} ({entry['report']}): {what} is not what it says")
    before, number = hashlib.sha256(raw).hexdigest(), entry["number"]
print(f"{wrong} wrong; the last entry is {number}, SHA-256 {before}")
sys.exit(1 if wrong else 0)
