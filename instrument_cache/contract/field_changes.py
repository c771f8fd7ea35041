"""What changed in the fields of a contract: removed, added, renamed, of another type, required, otherwise checked."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from instrument_cache.contract.model import Contract, Field
from instrument_cache.contract.verdict import BOTH, NOBODY, READERS, WRITERS, Change

TYPE_NAMES: Final[dict[type, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ALIKE: Final = 0.6


def field_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Of the kept fields. A field that is described and not kept is there for nobody."""
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    gone = [field for field in old.fields if field.name not in after]
    come = [field for field in new.fields if field.name not in before]
    for field in gone:
        successor = _successor(field, come)
        if successor is None:
            yield _removed(field)
        else:
            come.remove(successor)
            yield _renamed(field, successor)
    for field in come:
        yield _added(field)
    for name in (name for name in before if name in after):
        yield from _altered(before[name], after[name], is_key=name == new.key.name)
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield Change("properties", "the order of the fields changed, and so the bytes that are stored", NOBODY, "")


def _successor(gone: Field, come: list[Field]) -> Field | None:
    """The new field that is the old one under another name, as far as one can tell."""
    alike = [field for field in come if field.type == gone.type and field.identifier == gone.identifier]
    for field in alike:
        if gone.description and field.description == gone.description:
            return field
    ratios = [(SequenceMatcher(None, gone.name, field.name).ratio(), field) for field in alike]
    best = max(ratios, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] >= _ALIKE else None


def _removed(field: Field) -> Change:
    fix = f"keep {field.name!r}, null where the source has none, until no reader asks for it"
    return Change(field.name, "the field was removed", READERS, fix)


def _renamed(old: Field, new: Field) -> Change:
    fix = f"keep {old.name!r} and add {new.name!r} beside it; remove the old one in a later major version"
    return Change(old.name, f"the field was renamed to {new.name!r}", BOTH, fix)


def _added(field: Field) -> Change:
    if field.required:
        fix = f"add {field.name!r} without required: records of the old version do not have it"
        return Change(field.name, "a required field was added", WRITERS, fix)
    return Change(field.name, "an optional field was added", NOBODY, "")


def _altered(old: Field, new: Field, is_key: bool) -> Iterator[Change]:
    if old.type != new.type:
        yield _type_changed(old, new)
    if new.required and not old.required:
        fix = f"leave {new.name!r} optional: records of the old version may lack it"
        yield Change(new.name, "the field became required", WRITERS, fix)
    if old.required and not new.required and not is_key:
        fix = f"leave {new.name!r} required: readers rely on it"
        yield Change(new.name, "the field is no longer required", READERS, fix)
    if (old.identifier, old.pattern) != (new.identifier, new.pattern):
        yield _check_changed(old, new)


def _type_changed(old: Field, new: Field) -> Change:
    what = f"the type was {TYPE_NAMES[old.type]}, it is {TYPE_NAMES[new.type]}"
    # Whole numbers are taken where a number is wanted: only those who read find something else.
    breaks = READERS if (old.type, new.type) == (int, float) else BOTH
    return Change(new.name, what, breaks, f"keep the type of {new.name!r} and add a field of the new type beside it")


def _check_changed(old: Field, new: Field) -> Change:
    what = f"the identifier was {_check(old)}, it is {_check(new)}"
    if old.identifier is None:
        fix = f"leave {new.name!r} unchecked and say the rule under quality: ids that were taken would be rejected"
        return Change(new.name, what, WRITERS, fix)
    if new.identifier is None:
        return Change(new.name, what, READERS, f"keep the check of {new.name!r}: readers rely on it")
    fix = f"keep the check of {new.name!r}: ids that were taken may be rejected, and others come that never did"
    return Change(new.name, what, BOTH, fix)


def _check(field: Field) -> str:
    return f"the pattern {field.pattern}" if field.pattern else str(field.identifier or "unchecked")
