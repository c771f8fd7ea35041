"""Which pods the runner takes: it implements a field, records it, or refuses it by its path. It never ignores one.

A field that says nothing (null, false, empty) is always taken, as the operator sends many of those.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.metadata import NOT_IMPLEMENTED, check_metadata
from local_stack.pod_runner.status import Cause, Json, invalid
from local_stack.pod_runner.variables import check_variables

Rule = Callable[[str, Any], Iterator[Cause]]

_CONTAINER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UNENFORCED_POD_FIELDS = ("securityContext", "serviceAccountName")
_UNENFORCED_CONTAINER_FIELDS = ("resources", "securityContext")


def check_pod(pod: Json, config: RunnerConfig) -> None:
    """Raise 422 with every field of `pod` that cannot be honoured."""
    causes = [*_check_fields("", pod, _POD_RULES), *check_metadata(pod.get("metadata"), config.namespace)]
    spec = pod.get("spec")
    if isinstance(spec, dict):
        causes += _check_fields("spec", spec, _SPEC_RULES)
        causes += _check_containers(spec.get("containers"), config)
    if causes:
        metadata = pod.get("metadata")
        raise invalid(str(metadata.get("name", "")) if isinstance(metadata, dict) else "", causes)


def unenforced_fields(pod: Json) -> list[str]:
    """Return the paths of the fields that a cluster would enforce and the runner only records."""
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    return [
        *(f"spec.{field}" for field in _UNENFORCED_POD_FIELDS if not says_nothing(spec.get(field))),
        *(
            f"spec.containers[0].{field}"
            for field in _UNENFORCED_CONTAINER_FIELDS
            if not says_nothing(container.get(field))
        ),
    ]


def says_nothing(value: object) -> bool:
    """Say whether a field's value is null, false, empty, or holds only such values."""
    if isinstance(value, dict):
        return all(says_nothing(member) for member in value.values())
    return value is None or value is False or value in ("", [])


def _check_fields(path: str, item: Json, rules: Mapping[str, Rule]) -> Iterator[Cause]:
    for name, value in item.items():
        field = f"{path}.{name}" if path else name
        if name in rules and value is not None:
            yield from rules[name](field, value)
        elif not says_nothing(value):
            yield Cause(field, NOT_IMPLEMENTED, "FieldValueForbidden")
    for name in _REQUIRED.get(path, ()):
        if item.get(name) is None:
            yield Cause(f"{path}.{name}".lstrip("."), "Required value", "FieldValueRequired")


def _check_containers(containers: object, config: RunnerConfig) -> Iterator[Cause]:
    if not isinstance(containers, list) or len(containers) != 1 or not isinstance(containers[0], dict):
        number = len(containers) if isinstance(containers, list) else 0
        way_out = "a second one is often the XCom sidecar: set do_xcom_push=False"
        yield Cause("spec.containers", f"exactly one container is needed, here are {number}; {way_out}")
        return
    container, path = containers[0], "spec.containers[0]"
    yield from _check_fields(path, container, _CONTAINER_RULES)
    image = config.images.get(container["image"]) if isinstance(container.get("image"), str) else None
    if image is None:
        known = ", ".join(sorted(config.images)) or "none"
        message = f"unknown image {container.get('image')!r}; images of this runner: {known}"
        yield Cause(f"{path}.image", message, "FieldValueNotSupported")
    elif not (image.command_prefix or container.get("command") or container.get("args")):
        yield Cause(f"{path}.command", "the image has no command of its own here; give one", "FieldValueRequired")
    yield from check_variables(path, container, config)


def _one_of(*values: Any) -> Rule:
    def check(path: str, value: Any) -> Iterator[Cause]:
        if value not in values:
            supported = ", ".join(map(repr, values))
            yield Cause(path, f"{value!r} is not supported here; supported: {supported}", "FieldValueNotSupported")

    return check


def _integer(minimum: int) -> Rule:
    def check(path: str, value: Any) -> Iterator[Cause]:
        if type(value) is not int or value < minimum:
            yield Cause(path, f"{value!r} is not an integer of at least {minimum}")

    return check


def _of_type(kind: type) -> Rule:
    def check(path: str, value: Any) -> Iterator[Cause]:
        if not isinstance(value, kind):
            yield Cause(path, f"{value!r} is not a {kind.__name__}", "FieldValueTypeInvalid")

    return check


def _strings(path: str, value: Any) -> Iterator[Cause]:
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        yield Cause(path, f"{value!r} is not a list of strings without NUL", "FieldValueTypeInvalid")


def _container_name(path: str, value: Any) -> Iterator[Cause]:
    if not isinstance(value, str) or not _CONTAINER_NAME.fullmatch(value):
        yield Cause(path, f"{value!r} is not a DNS label (lower-case letters, digits, -, at most 63)")


def _checked_elsewhere(_path: str, _value: Any) -> Iterator[Cause]:
    yield from ()


_POD_RULES: Mapping[str, Rule] = {
    "apiVersion": _one_of("v1"),
    "kind": _one_of("Pod"),
    "metadata": _checked_elsewhere,
    "spec": _of_type(dict),
}
_SPEC_RULES: Mapping[str, Rule] = {
    "containers": _checked_elsewhere,
    "restartPolicy": _one_of("Never"),
    "activeDeadlineSeconds": _integer(1),
    "terminationGracePeriodSeconds": _integer(0),
    "securityContext": _of_type(dict),
    "serviceAccountName": _of_type(str),
    "dnsPolicy": _one_of("ClusterFirst", "Default"),
    "schedulerName": _one_of("default-scheduler"),
    "enableServiceLinks": _of_type(bool),
}
_CONTAINER_RULES: Mapping[str, Rule] = {
    "name": _container_name,
    "image": _of_type(str),
    "command": _strings,
    "args": _strings,
    "env": _checked_elsewhere,
    "envFrom": _checked_elsewhere,
    "resources": _of_type(dict),
    "securityContext": _of_type(dict),
    "imagePullPolicy": _one_of("Always", "IfNotPresent", "Never"),
    "terminationMessagePath": _one_of("/dev/termination-log"),
    "terminationMessagePolicy": _one_of("File", "FallbackToLogsOnError"),
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "": ("metadata", "spec"),
    "spec": ("restartPolicy",),
    "spec.containers[0]": ("name",),
}
