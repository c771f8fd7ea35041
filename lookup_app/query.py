"""What stands behind the question mark. A parameter that nobody reads is an error: it was meant to do something."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request

from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType

FIELDS = "fields"
BY = "by"


def parameters(names: Sequence[str]) -> dict[str, str]:
    """The query's parameters. Raises Problem for one that is not of `names`, or that is given twice."""
    try:
        given = list(request.args.items(multi=True))
    except UnicodeDecodeError:
        raise invalid_query("The query is not UTF-8.", names) from None
    found: dict[str, str] = {}
    for name, value in given:
        if name not in names:
            raise invalid_query(f"There is no parameter {name[:VALUE_CHARACTERS_MAX]!r}.", names)
        if name in found:
            raise invalid_query(f"The parameter {name!r} was given twice.", names)
        found[name] = value
    return found


def only_alias(found: dict[str, str], aliases: Sequence[str]) -> tuple[str, str]:
    """The one alias (name, value) among the parameters. Raises Problem unless there is exactly one."""
    given = [(name, value) for name, value in found.items() if name in aliases]
    if len(given) != 1:
        names = [*aliases, FIELDS]
        raise invalid_query(f"{len(given)} aliases were given; give exactly one of: {', '.join(aliases)}.", names)
    return given[0]


def names_in(text: str) -> list[str]:
    """`cusip,name` → its names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def invalid_query(what: str, names: Sequence[str]) -> Problem:
    """400 that lists the parameters that there are."""
    known = f" The parameters here are: {', '.join(names)}." if names else " There are none here."
    return Problem(ProblemType.INVALID_QUERY, what + known, {"parameters": list(names)})
