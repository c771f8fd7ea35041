"""The images' health check: `python -S healthy.py URL [MEMBER VALUE]`. Standard library only, so that it costs little.

Healthy (exit code 0) is a URL that answers with success and, if asked, whose JSON has VALUE in MEMBER (`a.b`: b in a).
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

_TIMEOUT_S = 4.0


def main(arguments: list[str]) -> int:
    url, *wanted = arguments
    try:
        body = _get(url)
        found = [wanted[0], str(_member(body, wanted[0]))] if wanted else []
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"{url}: {type(error).__name__}: {error}")
        return 1
    if found != wanted:
        print(f"{url}: {found[0]} is {found[1]}; it must be {wanted[1]}")
    return int(found != wanted)


def _get(url: str) -> bytes:
    # No proxy of the environment stands between two parts of the product.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_TIMEOUT_S) as answer:
        body: bytes = answer.read()
    return body


def _member(body: bytes, path: str) -> Any:
    value: Any = json.loads(body)
    for name in path.split("."):
        value = value[name]
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
