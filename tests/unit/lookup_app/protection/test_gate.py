"""Who is let in, to what, and what it costs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.gate import ADMISSION, Gate, batch_cost
from lookup_app.protection.jwt_tokens import JwtTokens
from lookup_app.protection.rate_limit import RateLimit
from lookup_app.protection.settings import RateSettings
from tests.unit.lookup_app.protection.issuer import KEYS, SETTINGS, token
from tests.unit.lookup_app.protection.test_api_keys import KEY, Records

DATASETS = ("instruments", "issuers")


@pytest.fixture
def tokens() -> JwtTokens:
    made = JwtTokens(SETTINGS, DATASETS, fetch=lambda: KEYS)
    made.keys.refresh()
    return made


def kind_of(gate: Gate, environ: dict[str, Any], dataset: str | None = "instruments") -> Problem:
    with pytest.raises(Problem) as raised:
        gate.admit(environ, dataset)
    return raised.value


def test_open() -> None:
    gate = Gate(DATASETS)
    assert gate.is_open
    assert gate.admit({"REMOTE_ADDR": "10.0.0.1"}, "instruments") == ("address:10.0.0.1", ())
    assert gate.admit({}, None) == ("address:", ())


def test_by_token(tokens: JwtTokens) -> None:
    gate = Gate(DATASETS, tokens)
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token()}"}
    for _ in range(2):
        assert gate.admit(environ, "instruments").client == "jwt:desk-1"
    assert gate.admit(environ, None).client == "jwt:desk-1"
    assert gate.admit(environ, "not-served").client == "jwt:desk-1"
    problem = kind_of(gate, environ, "issuers")
    assert (problem.kind, problem.extra["dataset"]) == (ProblemType.FORBIDDEN, "issuers")


def test_nobody(tokens: JwtTokens) -> None:
    problem = kind_of(Gate(DATASETS, tokens, Records().keys), {})
    assert problem.kind is ProblemType.UNAUTHENTICATED
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="instrument-cache", ApiKey realm="instrument-cache"'
    assert "Authorization or an API key" in problem.detail
    assert kind_of(Gate(DATASETS, tokens), {"HTTP_X_API_KEY": KEY}).kind is ProblemType.UNAUTHENTICATED


def test_a_remembered_token_ends_with_its_time(tokens: JwtTokens) -> None:
    now_s = [1000.0]
    gate = Gate(DATASETS, tokens, monotonic=lambda: now_s[0])
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token(exp=int(time.time()) - 29)}"}
    gate.admit(environ, "instruments")
    # By the wall clock it is still good for a second: it is looked at again, and remembered for what is left.
    now_s[0] += 1.1
    tokens.known[environ["HTTP_AUTHORIZATION"]] = tokens.known[environ["HTTP_AUTHORIZATION"]]._replace(until_s=1001)
    gate.admit(environ, "instruments")
    assert tokens.known[environ["HTTP_AUTHORIZATION"]].until_s > now_s[0]


def test_by_api_key() -> None:
    records = Records()
    gate = Gate(DATASETS, None, records.keys, monotonic=records.now)
    for _ in range(3):
        assert gate.admit({"HTTP_X_API_KEY": KEY}, "instruments").client == "api-key:desk-1"
    assert records.reads == 1
    assert kind_of(gate, {"HTTP_X_API_KEY": KEY}, "issuers").kind is ProblemType.FORBIDDEN
    # A header that a proxy added for itself is not taken for a token where there are none.
    assert gate.admit({"HTTP_X_API_KEY": KEY, "HTTP_AUTHORIZATION": "Basic x"}, "instruments")
    records.away, records.now_s = True, records.now_s + 60
    assert kind_of(gate, {"HTTP_X_API_KEY": KEY}).kind is ProblemType.KEYS_UNAVAILABLE


def test_with_both_a_token_counts(tokens: JwtTokens) -> None:
    gate = Gate(DATASETS, tokens, Records().keys)
    assert gate.admit({"HTTP_X_API_KEY": KEY}, "instruments").client == "api-key:desk-1"
    both = {"HTTP_X_API_KEY": KEY, "HTTP_AUTHORIZATION": f"Bearer {token()}"}
    assert gate.admit(both, "instruments").client == "jwt:desk-1"
    both["HTTP_AUTHORIZATION"] = "Bearer wrong"
    assert kind_of(gate, both).kind is ProblemType.UNAUTHENTICATED


def test_the_limit_counts_by_client(tokens: JwtTokens) -> None:
    gate = Gate(DATASETS, tokens, None, RateLimit(RateSettings(1, 2)), monotonic=lambda: 1000.0)
    first, second = ({"HTTP_AUTHORIZATION": f"Bearer {token(sub=sub)}"} for sub in ("a", "b"))
    another = {"HTTP_AUTHORIZATION": f"Bearer {token(sub='a', jti='2')}"}
    assert dict(gate.admit(first, "instruments").headers)["RateLimit"] == '"default";r=1;t=1'
    gate.admit(another, "instruments")
    assert kind_of(gate, first).kind is ProblemType.RATE_LIMITED
    gate.admit(second, "instruments")


def test_who_is_refused_is_not_charged(tokens: JwtTokens) -> None:
    gate = Gate(DATASETS, tokens, None, RateLimit(RateSettings(1, 1)), monotonic=lambda: 1000.0)
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token()}"}
    for _ in range(3):
        kind_of(gate, environ, "issuers")
    gate.admit(environ, "instruments")


def test_without_tokens_the_limit_counts_by_address() -> None:
    gate = Gate(DATASETS, limit=RateLimit(RateSettings(1, 1)), monotonic=lambda: 1000.0)
    gate.admit({"REMOTE_ADDR": "10.0.0.1"}, "instruments")
    gate.admit({"REMOTE_ADDR": "10.0.0.2"}, "instruments")
    assert kind_of(gate, {"REMOTE_ADDR": "10.0.0.1"}).kind is ProblemType.RATE_LIMITED


def test_a_batch_is_charged_when_its_size_is_known() -> None:
    assert [batch_cost(ids) for ids in (1, 99, 100, 1000)] == [1, 1, 2, 11]
    gate = Gate(DATASETS, limit=RateLimit(RateSettings(1, 10)), monotonic=lambda: 1000.0)
    environ: dict[str, Any] = {"REMOTE_ADDR": "10.0.0.1"}
    environ[ADMISSION] = gate.admit(environ, "instruments")
    gate.charge(environ, batch_cost(500) - 1)
    assert dict(environ[ADMISSION].headers)["RateLimit"] == '"default";r=4;t=6'
    with pytest.raises(Problem, match="rate-limited"):
        gate.charge(environ, 5)
    gate.charge({}, 5)


def test_who_is_known_is_admitted_at_the_same_charge(tokens: JwtTokens) -> None:
    limit = RateLimit(RateSettings(per_s=1, burst=3, clients_max=10))
    gate = Gate(DATASETS, tokens, Records().keys, limit, monotonic=lambda: 1000.0)
    by_token, by_key = {"HTTP_AUTHORIZATION": f"Bearer {token()}"}, {"HTTP_X_API_KEY": KEY}
    for environ in (by_token, by_key, {}):
        assert not gate.knows(environ)
        assert gate.admit_known(environ, "instruments") is None
    first = gate.admit(by_token, "instruments").headers
    assert gate.knows(by_token)
    second = gate.admit_known(by_token, "instruments")
    assert [first, second] == [RateLimit(RateSettings(1, 3, 10)).take("x", cost, 1000.0) for cost in (1, 2)]
    assert gate.admit_known(by_token, "issuers") is None, "the usual way says what is wrong"
    assert gate.admit_known(by_token, "instruments") is not None
    assert gate.admit_known(by_token, "instruments") is None, "nothing is left"


def test_a_token_that_is_not_known_counts_before_a_key_that_is(tokens: JwtTokens) -> None:
    gate = Gate(DATASETS, tokens, Records().keys)
    gate.admit({"HTTP_X_API_KEY": KEY}, "instruments")
    assert gate.knows({"HTTP_X_API_KEY": KEY})
    both = {"HTTP_X_API_KEY": KEY, "HTTP_AUTHORIZATION": "Bearer other"}
    assert not gate.knows(both)
    assert gate.admit_known(both, "instruments") is None
