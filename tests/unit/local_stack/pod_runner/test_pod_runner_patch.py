"""PATCH changes labels and annotations, and nothing else."""

from typing import Any

import pytest

from local_stack.pod_runner.patch import JSON_PATCH_TYPE, MERGE_TYPES, patched
from local_stack.pod_runner.status import ApiError, Json

POD: Json = {
    "kind": "Pod",
    "metadata": {"name": "a", "resourceVersion": "5", "labels": {"k": "v", "x/y": "1"}, "annotations": {}},
    "spec": {"restartPolicy": "Never"},
}


@pytest.mark.parametrize("content_type", MERGE_TYPES)
def test_merge_adds_replaces_and_removes(content_type: str) -> None:
    patch = {"kind": "Pod", "metadata": {"labels": {"k": None, "new": "n"}, "annotations": {"note": "any text"}}}
    changed = patched(POD, content_type, patch)
    assert changed["metadata"]["labels"] == {"x/y": "1", "new": "n"}
    assert changed["metadata"]["annotations"] == {"note": "any text"}
    assert POD["metadata"]["labels"] == {"k": "v", "x/y": "1"}


def test_json_patch() -> None:
    operations = [
        {"op": "test", "path": "/metadata/labels/k", "value": "v"},
        {"op": "replace", "path": "/metadata/labels/k", "value": "w"},
        {"op": "remove", "path": "/metadata/labels/x~1y"},
        {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
        {"op": "add", "path": "/metadata/annotations/c", "value": "d"},
    ]
    changed = patched(POD, JSON_PATCH_TYPE, operations)
    assert changed["metadata"]["labels"] == {"k": "w"}
    assert changed["metadata"]["annotations"] == {"a": "b", "c": "d"}
    assert POD["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    ("content_type", "patch", "code"),
    [
        (MERGE_TYPES[0], {"spec": {"restartPolicy": "Always"}}, 422),
        (MERGE_TYPES[0], {"metadata": {"name": "b"}}, 422),
        (MERGE_TYPES[1], {"metadata": {"labels": {"k": "no spaces"}}}, 422),
        (MERGE_TYPES[1], {"metadata": {"labels": {"$patch": "replace"}}}, 422),
        (MERGE_TYPES[0], {"metadata": {"annotations": {"k": 1}}}, 422),
        (MERGE_TYPES[0], {"metadata": {"resourceVersion": "4"}}, 409),
        (MERGE_TYPES[0], {"metadata": {"labels": []}}, 400),
        (MERGE_TYPES[0], {"metadata": []}, 400),
        (MERGE_TYPES[0], [], 400),
        (MERGE_TYPES[0], None, 400),
        (JSON_PATCH_TYPE, {}, 400),
        (JSON_PATCH_TYPE, [1], 400),
        (JSON_PATCH_TYPE, [{"op": "replace", "path": "/spec/restartPolicy", "value": "x"}], 422),
        (JSON_PATCH_TYPE, [{"op": "remove", "path": "/metadata/labels/none"}], 422),
        (JSON_PATCH_TYPE, [{"op": "test", "path": "/metadata/labels/k", "value": "other"}], 422),
        (JSON_PATCH_TYPE, [{"op": "replace", "path": "/metadata/labels", "value": 1}], 422),
        (JSON_PATCH_TYPE, [{"op": "move", "path": "/metadata/labels/k", "from": "/metadata/labels/x~1y"}], 422),
        ("application/apply-patch+yaml", {}, 415),
        ("application/json", {}, 415),
    ],
)
def test_everything_else_is_refused(content_type: str, patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as error:
        patched(POD, content_type, patch)
    assert error.value.code == code
