"""Rules of an object's metadata: name, labels, annotations; and how a generated name is made."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

from local_stack.pod_runner.status import Cause, Json

NOT_IMPLEMENTED = "the local pod runner does not implement this field; remove it, or run the pod on a cluster"
NAME_CHARACTERS_MAX = 253
ANNOTATION_BYTES_MAX = 256 * 1024
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so no words
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_CHECKED = ("name", "generateName", "namespace", "labels", "annotations")


def generated_name(prefix: str) -> str:
    """Return `prefix` with five random characters, as `metadata.generateName` asks."""
    return prefix[: NAME_CHARACTERS_MAX - 5] + "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))


def check_metadata(metadata: Any, namespace: str) -> Iterator[Cause]:
    """Check the metadata of a pod that is to be created in `namespace`."""
    if not isinstance(metadata, dict):
        yield Cause("metadata", "an object is needed", "FieldValueRequired")
        return
    yield from _check_name(metadata)
    if metadata.get("namespace") not in (None, namespace):
        yield Cause(
            "metadata.namespace", f"{metadata['namespace']!r} is not the namespace of the request, {namespace!r}"
        )
    yield from check_labels(metadata.get("labels"))
    yield from check_annotations(metadata.get("annotations"))
    for field, value in metadata.items():
        if field not in _CHECKED and value not in (None, "", [], {}):
            yield Cause(f"metadata.{field}", NOT_IMPLEMENTED, "FieldValueForbidden")


def check_labels(labels: Any) -> Iterator[Cause]:
    """Check the keys and values of `metadata.labels`."""
    yield from _check_map("metadata.labels", labels)
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if isinstance(value, str) and not _LABEL_VALUE.fullmatch(value):
            rule = "at most 63 letters, digits, - _ . beginning and ending with a letter or digit"
            yield Cause("metadata.labels", f"value {value!r} of {key!r} is not a label value: {rule}")


def check_annotations(annotations: Any) -> Iterator[Cause]:
    """Check the keys, types and total size of `metadata.annotations`."""
    yield from _check_map("metadata.annotations", annotations)
    if isinstance(annotations, dict) and (size := len(str(annotations).encode())) > ANNOTATION_BYTES_MAX:
        yield Cause("metadata.annotations", f"{size} bytes are more than {ANNOTATION_BYTES_MAX}", "FieldValueTooLong")


def _check_name(metadata: Json) -> Iterator[Cause]:
    field = "name" if metadata.get("name") else "generateName"
    name = metadata.get(field)
    if not name:
        yield Cause("metadata.name", "name or generateName is required", "FieldValueRequired")
    elif not isinstance(name, str) or not _is_name(name + "x" if field == "generateName" else name):
        yield Cause(
            f"metadata.{field}", f"{name!r} is not a pod name: lower-case letters, digits, - and ., at most 253"
        )


def _is_name(name: str) -> bool:
    return len(name) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(name) is not None


def _check_map(path: str, items: Any) -> Iterator[Cause]:
    if items is None:
        return
    if not isinstance(items, dict) or not all(isinstance(value, str) for value in items.values()):
        yield Cause(path, "an object whose values are strings is needed", "FieldValueTypeInvalid")
        return
    for key in items:
        prefix, slash, name = key.rpartition("/")
        if not _KEY_NAME.fullmatch(name) or (slash and not _is_name(prefix)):
            yield Cause(path, f"{key!r} is not a qualified name such as example.com/my-key")
