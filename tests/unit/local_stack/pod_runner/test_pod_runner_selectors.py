"""Selectors as Kubernetes defines them."""

import pytest

from local_stack.pod_runner.selectors import EVENT_FIELDS, POD_FIELDS, field_selector, label_selector
from local_stack.pod_runner.status import ApiError, Json

POD: Json = {
    "metadata": {
        "name": "a",
        "namespace": "test",
        "labels": {"app": "feed", "tier": "", "example.com/part": "x.y-z_1"},
    },
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "app=feed",
        "app==feed",
        " app = feed , tier= ",
        "app!=other",
        "missing!=x",
        "app in (feed,other)",
        "app in ( other , feed ),tier",
        "app notin (a,b)",
        "missing notin (a)",
        "app",
        "!missing",
        "! missing",
        "example.com/part=x.y-z_1",
        "app=feed,already_checked!=True,!airflow-worker",
    ],
)
def test_selector_matches(selector: str) -> None:
    assert label_selector(selector)(POD)


@pytest.mark.parametrize(
    "selector",
    ["app=other", "app!=feed", "app in (a,b)", "app notin (feed)", "missing", "!app", "missing=x", "app=feed,tier=x"],
)
def test_selector_does_not_match(selector: str) -> None:
    assert not label_selector(selector)(POD)


@pytest.mark.parametrize("selector", ["app>1", "app in", "app in feed", "=x", "app=a b", "app,,tier", "in (a)", "!"])
def test_selector_that_cannot_be_read_is_refused(selector: str) -> None:
    with pytest.raises(ApiError, match="unable to parse requirement") as error:
        label_selector(selector)
    assert error.value.code == 400


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("metadata.name=a", True),
        ("metadata.name==a,status.phase=Running", True),
        ("metadata.name!=a", False),
        ("status.phase!=Pending", True),
        ("metadata.name=b", False),
    ],
)
def test_field_selector(selector: str, matches: bool) -> None:
    assert field_selector(selector, POD_FIELDS)(POD) is matches


def test_field_selector_of_an_event() -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"name": "a", "kind": "Pod"}}
    assert field_selector("involvedObject.name=a", EVENT_FIELDS)(event)
    assert not field_selector("involvedObject.name=b", EVENT_FIELDS)(event)


@pytest.mark.parametrize(
    ("selector", "message"),
    [("spec.hostIP=x", "field label not supported: 'spec.hostIP'"), ("metadata.name", "invalid field selector")],
)
def test_field_selector_that_is_not_implemented_is_refused(selector: str, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        field_selector(selector, POD_FIELDS)
