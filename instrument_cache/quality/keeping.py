"""Where a run keeps what it found: each object is written once, under a prefix of the run's own.

quality/{dataset}/runs/{run}/{input}.json     what became of an input
quality/{dataset}/runs/{run}/index.html       the same for people: Data Docs in one page
quality/{dataset}/good/{input}/{time}-{run}.json   the profile of a good run, against which later ones are measured
"""

from __future__ import annotations

import msgspec

from instrument_cache.errors import QualityError
from instrument_cache.objects import ObjectStore
from instrument_cache.quality.model import INPUTS, Checked, Profile
from instrument_cache.reports import name_of_run


class QualityResults:
    """Methods raise ObjectStoreUnavailable."""

    def __init__(self, objects: ObjectStore, dataset: str) -> None:
        self._objects, self._root = objects, f"quality/{dataset}"

    def page_key(self, run_id: str) -> str:
        """The name of a run's page in S3."""
        return f"{self._prefix(run_id)}index.html"

    def load(self, run_id: str) -> dict[str, Checked]:
        """What a run has found so far, by input."""
        names = set(self._objects.keys(self._prefix(run_id)))
        keys = {name: f"{self._prefix(run_id)}{name}.json" for name in INPUTS}
        return {
            name: msgspec.json.decode(self._objects.get(key), type=Checked)
            for name, key in keys.items()
            if key in names
        }

    def need(self, run_id: str) -> dict[str, Checked]:
        """The same. Raises QualityError if there is nothing."""
        found = self.load(run_id)
        if not found:
            raise QualityError(f"there is no result of the run {run_id!r}; `icache quality run` makes one")
        return found

    def save(self, run_id: str, checked: Checked) -> Checked:
        """Keep what was found; if an earlier try of the run has kept it, that one counts and is returned."""
        key = f"{self._prefix(run_id)}{checked.input}.json"
        if self._objects.put_once(key, msgspec.json.encode(checked)):
            return checked
        return msgspec.json.decode(self._objects.get(key), type=Checked)

    def save_page(self, run_id: str, html: str) -> None:
        """Keep the page; the first one of a run stays."""
        self._objects.put_once(self.page_key(run_id), html.encode(), content_type="text/html; charset=utf-8")

    def page(self, run_id: str) -> str:
        """The page of a run."""
        return self._objects.get(self.page_key(run_id)).decode()

    def save_good(self, run_id: str, started_at: str, checked: Checked) -> None:
        """From now on runs are measured against this one."""
        key = f"{self._good(checked.input)}{name_of_run(started_at)}-{name_of_run(run_id)}.json"
        self._objects.put_once(key, msgspec.json.encode(checked.profile))

    def last_good(self, input_name: str) -> tuple[str, Profile | None]:
        """Name and profile of the newest good run of an input; an empty name if there is none."""
        keys = list(self._objects.keys(self._good(input_name)))
        if not keys:
            return "", None
        name = keys[-1].rpartition("/")[2].removesuffix(".json")
        return name, msgspec.json.decode(self._objects.get(keys[-1]), type=Profile)

    def _prefix(self, run_id: str) -> str:
        return f"{self._root}/runs/{name_of_run(run_id)}/"

    def _good(self, input_name: str) -> str:
        return f"{self._root}/good/{input_name}/"
