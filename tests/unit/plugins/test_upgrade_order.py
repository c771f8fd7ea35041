from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.drill_forms import dr_form, failover_form
from instrument_cache_airflow.upgrade_order import launcher_arguments, upgrade_form


def filled(**fields: Any) -> dict[str, Any]:
    """The form with some fields filled in, validated as Airflow does."""
    form = ParamsDict(upgrade_form())
    form.update(fields)
    return dict(form.validate())


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({}, ["upgrade", "--from", "newest"]),
        ({"version": "1.2"}, ["upgrade", "--from", "newest", "--to", "1.2"]),
        ({"action": "roll back", "begin": "before"}, ["rollback", "--from", "before"]),
        (
            {"version": "2", "parallelism": 4, "action": "roll back"},
            ["rollback", "--from", "newest", "--to", "2", "--parallelism", "4"],
        ),
        ({"action": "change parallelism", "parallelism": 2}, ["scale", "2"]),
    ],
)
def test_the_form_becomes_the_launchers_arguments(fields: dict[str, Any], arguments: list[str]) -> None:
    found = launcher_arguments(filled(**fields), "run-1")
    assert [part for part in found if part not in ("--run", "run-1")] == arguments
    assert found[found.index("--run") + 1] == "run-1"


def test_the_launcher_understands_them() -> None:
    from flink_jobs.submit import _parser

    for fields in ({}, {"action": "roll back", "version": "2"}, {"action": "change parallelism", "parallelism": 2}):
        options = _parser().parse_args(launcher_arguments(filled(**fields, gate_s=30), "run-1"))
        assert (options.run, options.gate_s) == ("run-1", 30)


@pytest.mark.parametrize("fields", [{}, {"parallelism": 2, "version": "1"}])
def test_parallelism_alone_is_changed_with_a_number_and_no_release(fields: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="give the parallelism and no release"):
        launcher_arguments(filled(action="change parallelism", **fields), "run-1")


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "downgrade"},
        {"version": "a b"},
        {"version": "../x"},
        {"parallelism": 0},
        {"parallelism": "2"},
        {"begin": "yesterday"},
        {"gate_s": 1},
    ],
)
def test_the_form_refuses_what_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Invalid input for param"):
        filled(**fields)


@pytest.mark.parametrize(
    ("form", "field", "value"),
    [
        (failover_form(), "instruments", 1),
        (failover_form(), "writes_per_s", 0),
        (failover_form(), "write_gap_s_max", "fast"),
        (dr_form(), "region", "third"),
        (dr_form(), "rto_s_max", 0),
        (dr_form(), "rpo_s_max", -1),
    ],
)
def test_the_drills_forms_refuse_too(form: Any, field: str, value: object) -> None:
    params = ParamsDict(form)
    with pytest.raises(ValueError, match="Invalid input for param"):
        params.update({field: value})


def test_the_forms_have_the_fields_of_what_they_fill() -> None:
    from instrument_cache.drills.dr import DrTargets
    from instrument_cache.drills.failover import FailoverPlan

    failover = ParamsDict(failover_form()).validate()
    assert FailoverPlan(**failover) == FailoverPlan()
    targets = {name: value for name, value in ParamsDict(dr_form()).validate().items() if name != "region"}
    assert DrTargets(**targets) == DrTargets()
