"""The body of a batch, in and out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookup_app.batch import BatchRequest, batch_body, batch_lines, batch_of, batch_of_lines, stale_s_max
from lookup_app.entries import Instrument, unknown
from lookup_app.problems import Problem, ProblemType

INSTRUMENT = Instrument(1763674000123456, b'{"v":1763674000123456,"cusip":"037833100"}')
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(ids=st.lists(texts, min_size=1, max_size=50))
def test_ids_come_as_they_were_sent(ids: list[str]) -> None:
    assert batch_of(json.dumps({"ids": ids}).encode(), 50) == BatchRequest(ids)
    lines = "".join(json.dumps(text) + "\n" for text in ids)
    assert batch_of_lines(lines.encode(), 50) == BatchRequest(ids)


@given(ids=st.lists(st.tuples(texts, st.booleans()), min_size=1))
def test_the_answer_is_json_in_order_whatever_the_ids(ids: list[tuple[str, bool]]) -> None:
    names = [name for name, _ in ids]
    results = [INSTRUMENT if found else unknown(name) for name, found in ids]
    items = json.loads(batch_body(names, results))["results"]
    assert [(item["id"], item["status"]) for item in items] == [(name, 200 if found else 404) for name, found in ids]


def test_instruments_are_joined_as_they_are_stored() -> None:
    body = batch_body(["037833100"], [INSTRUMENT])
    assert body == b'{"results":[{"id":"037833100","status":200,"instrument":%b}]}' % INSTRUMENT.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b'["037833100"]',
        b'{"ids":"037833100"}',
        b'{"ids":[1]}',
        b'{"ids":[null]}',
        b'{"ids":["037833100"],"more":1}',
        b'{"ids":["037833100"],"by":1}',
        b'{"ids":["037833100"],"fields":"cusip"}',
        b'{"ids":["037833100"]} x',
        b'{"ids":["\\ud800"]}',
        b'{"ids":["\xff"]}',
        b"\xff\xfe",
        b"[" * 1_000_000,
        b'{"ids":' * 200_000,
        b'{"ids":' + b"[" * 1_000_000,
    ],
)
def test_another_shape(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        batch_of(body, 1000)
    assert caught.value.kind is ProblemType.INVALID_BODY


@pytest.mark.parametrize("count", [0, 6, 7000])
def test_the_number_of_ids_is_bounded(count: int) -> None:
    with pytest.raises(Problem, match="1 to 5") as caught:
        batch_of(json.dumps({"ids": ["x"] * count}).encode(), 5)
    assert caught.value.extra == {"count": count, "limit": 5}


def test_a_body_says_by_what_and_which_fields() -> None:
    asked = batch_of(b'{"ids":["P-1"],"by":"pme","fields":["cusip"]}', 5)
    assert asked == BatchRequest(["P-1"], "pme", ["cusip"])


@pytest.mark.parametrize(
    "body",
    [b"037833100", b'"a"\nb', b"[1]", b'{"id":"a"}', b"null", b'"\xff"', b'"a" "b"', b"[" * 100_000, b'"a'],
    ids=repr,
)
def test_a_line_is_a_json_string(body: bytes) -> None:
    with pytest.raises(Problem, match="line") as caught:
        batch_of_lines(body, 5)
    assert caught.value.kind is ProblemType.INVALID_BODY


def test_empty_lines_are_passed_over_and_windows_line_ends_are_taken() -> None:
    assert batch_of_lines(b'\n"a"\r\n\n  "b"  ', 2).ids == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"\n\n", b'"a"\n' * 6, b"\n" * 1_000_000 + b'"a"\n' * 7])
def test_the_number_of_lines_is_bounded(body: bytes) -> None:
    with pytest.raises(Problem, match="1 to 5"):
        batch_of_lines(body, 5)


def test_an_answer_in_lines_has_the_same_results() -> None:
    ids, results = ["a", "b"], [INSTRUMENT, unknown("b")]
    lines = batch_lines(ids, results).splitlines()
    assert b'{"results":[%b]}' % b",".join(lines) == batch_body(ids, results)


def test_the_oldest_result_tells_the_age() -> None:
    assert stale_s_max([INSTRUMENT, unknown("b")]) is None
    assert stale_s_max([INSTRUMENT._replace(stale_s=1.5), unknown("b", 3.0), INSTRUMENT]) == 3.0
