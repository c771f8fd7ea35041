"""PATCH of a pod: labels and annotations, by merge patch, strategic merge patch or JSON patch. Nothing else changes."""

from typing import Any

from local_stack.pod_runner.metadata import check_annotations, check_labels
from local_stack.pod_runner.status import ApiError, Cause, Json, bad_request, conflict, invalid

MERGE_TYPES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
JSON_PATCH_TYPE = "application/json-patch+json"
_MAPS = ("labels", "annotations")
_WAY_OUT = "only metadata.labels and metadata.annotations can be changed here"


def patched(pod: Json, content_type: str, patch: Any) -> Json:
    """Return the pod with the patch applied; raise 422 if it touches anything but labels and annotations."""
    if content_type in MERGE_TYPES:
        changed = _merged(pod, patch)
    elif content_type == JSON_PATCH_TYPE:
        changed = _json_patched(pod, patch)
    else:
        accepted = ", ".join((JSON_PATCH_TYPE, *MERGE_TYPES))
        raise ApiError(415, "UnsupportedMediaType", f"unknown patch format {content_type!r}; accepted: {accepted}")
    metadata = changed["metadata"]
    if causes := [*check_labels(metadata["labels"]), *check_annotations(metadata["annotations"])]:
        raise invalid(pod["metadata"]["name"], causes)
    return changed


def _merged(pod: Json, patch: Any) -> Json:
    if not isinstance(patch, dict) or not isinstance(patch.get("metadata", {}), dict):
        raise bad_request("a merge patch of a pod is a JSON object")
    metadata = patch.get("metadata", {})
    _check_version(pod, metadata.get("resourceVersion"))
    _refuse_changes(pod, patch, metadata)
    maps = {name: _merged_map(pod["metadata"][name], metadata.get(name, {})) for name in _MAPS}
    return {**pod, "metadata": {**pod["metadata"], **maps}}


def _refuse_changes(pod: Json, patch: Json, metadata: Json) -> None:
    """Refuse what differs from the pod, apart from the two maps; a client may send back what it read."""
    causes = [
        *(Cause(key, _WAY_OUT) for key, value in patch.items() if key != "metadata" and pod.get(key) != value),
        *(
            Cause(f"metadata.{key}", _WAY_OUT)
            for key, value in metadata.items()
            if key not in _MAPS and pod["metadata"].get(key) != value
        ),
    ]
    if causes:
        raise invalid(pod["metadata"]["name"], causes)


def _merged_map(current: dict[str, str], patch: Any) -> dict[str, Any]:
    if patch is None:
        return {}
    if not isinstance(patch, dict):
        raise bad_request("labels and annotations are JSON objects")
    return {key: value for key, value in {**current, **patch}.items() if value is not None}


def _check_version(pod: Json, version: Any) -> None:
    if version is not None and version != pod["metadata"]["resourceVersion"]:
        raise conflict(pod["metadata"]["name"], "the object has been modified; read it again and repeat the change")


def _json_patched(pod: Json, patch: Any) -> Json:
    if not isinstance(patch, list):
        raise bad_request("a JSON patch is a list of operations")
    metadata = {**pod["metadata"], **{name: dict(pod["metadata"][name]) for name in _MAPS}}
    for operation in patch:
        _apply(pod["metadata"]["name"], metadata, operation)
    return {**pod, "metadata": metadata}


def _apply(name: str, metadata: Json, operation: Any) -> None:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise bad_request("an operation of a JSON patch is an object with op and path")
    map_name, key = _target(name, operation["path"])
    match operation.get("op"):
        case "add" | "replace" if key is None and isinstance(operation.get("value"), dict):
            metadata[map_name] = operation["value"]
        case "add" if key is not None:
            metadata[map_name][key] = operation.get("value")
        case "replace" if key in metadata[map_name]:
            metadata[map_name][key] = operation.get("value")
        case "remove" if key in metadata[map_name]:
            del metadata[map_name][key]
        case "test" if key in metadata[map_name] and metadata[map_name][key] == operation.get("value"):
            return
        case other:
            raise invalid(name, [Cause(f"metadata.{map_name}", f"{other!r} of {operation['path']!r} cannot be done")])


def _target(name: str, path: str) -> tuple[str, str | None]:
    """Return the map and key that a JSON pointer names; no key for the map as a whole."""
    root, *steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
    if root or len(steps) not in (2, 3) or steps[0] != "metadata" or steps[1] not in _MAPS:
        raise invalid(name, [Cause(path, _WAY_OUT)])
    return steps[1], steps[2] if len(steps) == 3 else None
