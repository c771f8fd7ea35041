"""Files of a page, from an installed package, with the headers that keep everything else out of it."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection
from importlib import resources
from typing import Final

from flask import Response

from lookup_app.problems import Problem, ProblemType

mimetypes.add_type("text/javascript", ".js")
_SAFE: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


class StaticFiles:
    """The files of `package` (dotted) below `folder` whose names are in `names`; `policy` goes with each of them."""

    def __init__(self, package: str, folder: str, names: Collection[str], policy: str) -> None:
        root = resources.files(package) / folder
        self._bodies = {name: root.joinpath(name).read_bytes() for name in names}
        self._headers = {**_SAFE, "Content-Security-Policy": policy}

    def __contains__(self, name: str) -> bool:
        return name in self._bodies

    def answer(self, name: str) -> Response:
        """Raises Problem for another name."""
        if name not in self._bodies:
            raise Problem(ProblemType.NO_SUCH_ROUTE, "This path is not one of the service's; docs/api.md lists them.")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self._bodies[name], 200, self._headers, mimetype=kind)
