"""The description of the API: it has every route, every error and every header, and is served with its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from instrument_cache.contract import Contract, load_contract
from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.openapi.document import document
from lookup_app.openapi.texts import sections
from lookup_app.problems import ProblemType
from tests.unit.lookup_app.conftest import CONTRACT_PATH

# What is no part of the API: the page, the description itself, and the files of both.
PAGES = {"page", "page_file", "openapi", "docs", "docs_file"}
# Answers of the router, which belong to no operation.
OF_THE_ROUTER = {ProblemType.METHOD_NOT_ALLOWED}


@pytest.fixture
def described(contract: Contract, settings: LookupSettings) -> dict[str, Any]:
    issuers = load_contract(CONTRACT_PATH.with_name("issuers.yaml"))
    return document([contract, issuers], settings)


def _operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from _references(value)
    if isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_it_has_every_route_of_the_application_and_no_other(
    settings: LookupSettings, datasets: Datasets, contract: Contract
) -> None:
    app: Flask = create_app(settings, datasets)
    routes = {
        (re.sub("<[^>]*>", "*", rule.rule.replace("<dataset:dataset>", contract.dataset)), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in PAGES
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    operations = _operations(document([contract], settings))
    assert routes == {(re.sub("{[^}]*}", "*", path), method) for path, method, _ in operations if method != "head"}


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for reference in set(_references(described)):
        node = described
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_schema_is_a_schema(described: dict[str, Any]) -> None:
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(described)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", set(ProblemType) - OF_THE_ROUTER)
def test_every_error_is_an_answer_of_some_operation(described: dict[str, Any], kind: ProblemType) -> None:
    answers = (operation["responses"].get(str(kind.status), {}) for _, _, operation in _operations(described))
    assert any(f"`{kind.slug}`" in answer.get("description", "") for answer in answers)


def test_there_is_a_text_for_every_error_and_no_other() -> None:
    assert set(sections("problems")) == {kind.slug for kind in ProblemType}


def test_the_limits_are_those_of_the_settings(contract: Contract, settings: LookupSettings) -> None:
    schemas = document([contract], replace(settings, batch_ids_max=7))["components"]["schemas"]
    assert schemas["InstrumentsBatch"]["properties"]["ids"]["maxItems"] == 7


def test_a_contract_without_an_alias_has_no_choice_of_one(contract: Contract, settings: LookupSettings) -> None:
    found = document([replace(contract, aliases=())], settings)
    names = [parameter["name"] for parameter in found["paths"]["/v1/instruments:batch"]["post"]["parameters"]]
    assert names == ["fields"]


def test_it_is_served(client: FlaskClient, contract: Contract, settings: LookupSettings) -> None:
    assert client.get("/openapi.json").get_json() == document([contract], settings)


def test_the_page_and_all_that_it_loads_come_from_here(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(path).status_code == 200, path
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text


@pytest.mark.parametrize("name", ["nothing.js", "..%2fviews.py", "LICENSE", "%00", "index.html%00"])
def test_other_files_are_not_given_away(client: FlaskClient, name: str) -> None:
    for folder in ("docs", "page"):
        assert client.get(f"/{folder}/{name}").status_code == 404
