"""Label and field selectors: text of a query parameter → a predicate over objects."""

import re
from collections.abc import Callable, Mapping

from local_stack.pod_runner.status import Json, bad_request

Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]
ObjectTest = Callable[[Json], bool]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]*"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<absent_key>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<equality>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*"
)
_FIELD_TERM = re.compile(r"\s*(?P<path>[A-Za-z.]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^,=!]*?)\s*")

POD_FIELDS = ("metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "status.phase")
EVENT_FIELDS = (
    *("metadata.name", "metadata.namespace", "reason", "type"),
    *(f"involvedObject.{field}" for field in ("kind", "name", "namespace", "uid")),
)


def label_selector(text: str) -> ObjectTest:
    """Parse a label selector: `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, joined by commas."""
    tests = [_label_test(term) for term in _split(text)]
    return lambda item: all(test(item["metadata"].get("labels", {})) for test in tests)


def field_selector(text: str, supported: tuple[str, ...]) -> ObjectTest:
    """Parse a field selector over the `supported` paths: `path=value` and `path!=value`, joined by commas."""
    tests = [_field_test(term, supported) for term in _split(text)]
    return lambda item: all(test(item) for test in tests)


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    return re.split(r",(?![^(]*\))", text) if text.strip() else []


def _label_test(term: str) -> LabelTest:
    match = _TERM.fullmatch(term)
    if match is None:
        raise bad_request(
            f"unable to parse requirement {term!r} of the label selector: use k=v, k!=v, k in (a,b), "
            "k notin (a,b), k or !k"
        )
    if match["absent"]:
        return lambda labels: match["absent_key"] not in labels
    if match["equality"]:
        return _membership(match["key"], {match["value"]}, negated=match["equality"] == "!=")
    if match["set"]:
        values = {value.strip() for value in match["values"].split(",")}
        return _membership(match["key"], values, negated=match["set"] == "notin")
    return lambda labels: match["key"] in labels


def _membership(key: str, values: set[str], *, negated: bool) -> LabelTest:
    # An object without the label passes != and notin, as in Kubernetes.
    if negated:
        return lambda labels: labels.get(key) not in values
    return lambda labels: labels.get(key) in values


def _field_test(term: str, supported: tuple[str, ...]) -> ObjectTest:
    match = _FIELD_TERM.fullmatch(term)
    if match is None:
        raise bad_request(f"invalid field selector {term!r}: use path=value or path!=value")
    if match["path"] not in supported:
        raise bad_request(f"field label not supported: {match['path']!r}; supported: {', '.join(supported)}")
    path, wanted, negated = match["path"].split("."), match["value"], match["operator"] == "!="
    return lambda item: (_value_at(item, path) == wanted) != negated


def _value_at(item: Json, path: list[str]) -> str:
    value: object = item
    for name in path:
        value = value.get(name, "") if isinstance(value, dict) else ""
    return str(value)
