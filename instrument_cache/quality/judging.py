"""Great Expectations over a stream of batches: each is validated by itself, and the counts are added up."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from instrument_cache.contract import Contract, QualityRule
from instrument_cache.errors import QualityError
from instrument_cache.quality.frame import Page
from instrument_cache.quality.model import SAMPLE_CHARACTERS_MAX, SAMPLES, Evaluated, Sample, Tally
from instrument_cache.quality.suites import RULE, batch_suite, of_whole, whole_suite

_FORMAT: Final = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLES}


class Judging:
    """One input's rows against its rules. Only the columns whose values must be unique are kept whole."""

    def __init__(self, contract: Contract, rules: Sequence[QualityRule]) -> None:
        fields = {field.name: field for field in contract.input_fields}
        self._batch_suite, self._whole_suite = batch_suite(rules, fields), whole_suite(rules)
        self._whole: dict[str, list[Any]] = {str(rule.field): [] for rule in of_whole(rules)}
        self._places: list[str] = []
        self._definition = _definition()
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.expectations: dict[str, list[Evaluated]] = defaultdict(list)

    def take(self, page: Page) -> None:
        """Raises QualityError if an expectation could not be evaluated: a fault of the program, not of the data."""
        for name, column in self._whole.items():
            column += page.lists[name]
        self._places += page.places
        self._validate(page.table(), self._batch_suite)

    def finish(self) -> None:
        """What needs all rows. Raises QualityError."""
        columns = {name: pd.Series(self._whole.pop(name), dtype=object) for name in list(self._whole)}
        table = pd.DataFrame(columns).set_index(pd.Index(self._places, dtype=object))
        self._validate(table, self._whole_suite)

    def _validate(self, table: pd.DataFrame, suite: gx.ExpectationSuite) -> None:
        batch = self._definition.get_batch(batch_parameters={"dataframe": table})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a group in a pattern is no fault
            found = batch.validate(suite, result_format=_FORMAT).results
        rules_of_batch: dict[str, list[Any]] = defaultdict(list)
        for result in sorted(found, key=lambda result: str(result.expectation_config.type)):
            rules_of_batch[result.expectation_config.meta[RULE]].append(result)
        for rule, results in rules_of_batch.items():
            self._add(rule, results)

    def _add(self, rule: str, results: list[Any]) -> None:
        known = self.expectations[rule]
        known += [_evaluated(result) for result in results[len(known) :]]
        for result, evaluated in zip(results, known, strict=True):
            _check_evaluated(result)
            found = result.result
            evaluated.tally.add(found["element_count"], found["unexpected_count"], _samples(result))
        looked = max(result.result["element_count"] for result in results)
        unexpected = sum(result.result["unexpected_count"] for result in results)
        self.tallies[rule].add(looked, unexpected, [sample for result in results for sample in _samples(result)])


def _definition() -> Any:
    """A context in memory that keeps nothing and tells nobody."""
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(False)
    return (
        context.data_sources.add_pandas("records").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("b")
    )


def _check_evaluated(result: Any) -> None:
    if result.exception_info.get("raised_exception") or "unexpected_count" not in result.result:
        raise QualityError(
            f"{result.expectation_config.type} of the rule {result.expectation_config.meta[RULE]!r} could not be "
            f"evaluated: {result.exception_info}; correct the rule in the contract, or report it as a fault"
        )


def _evaluated(result: Any) -> Evaluated:
    arguments = {name: value for name, value in result.expectation_config.kwargs.items() if name != "batch_id"}
    return Evaluated(result.expectation_config.type, arguments)


def _samples(result: Any) -> list[Sample]:
    values = result.result.get("partial_unexpected_list", ())
    places = result.result.get("partial_unexpected_index_list") or [""] * len(values)
    return [Sample(str(place), str(value)[:SAMPLE_CHARACTERS_MAX]) for place, value in zip(places, values, strict=True)]
