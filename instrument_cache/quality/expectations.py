"""Expectations of the product's own for Great Expectations: what its library does not know of identifiers and types."""

from __future__ import annotations

from html import escape
from math import inf
from typing import Any, ClassVar, Final

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

from instrument_cache.contract import Field
from instrument_cache.identifiers_many import valid_for
from instrument_cache.quality.frame import Wrong

TYPE: Final = "column_values.of_contract_type"
RANGE: Final = "column_values.in_contract_range"


class ColumnValuesOfContractType(ColumnMapMetricProvider):  # type: ignore[misc]
    """True for values of the field's type that pass its check: CUSIP, FIGI, ISIN, LEI or a pattern."""

    condition_metric_name = TYPE
    condition_value_keys = ("form",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: pd.Series, form: dict[str, Any], **_: Any) -> pd.Series:
        values = column.tolist()
        fits = [type(value) is not Wrong for value in values]
        if form.get("identifier"):
            field = Field("", str, form["identifier"], form.get("pattern"))
            texts = [value if fit else None for value, fit in zip(values, fits, strict=True)]
            fits = list(valid_for(field)(texts))
        return pd.Series(fits, index=column.index, dtype=bool)


class ColumnValuesInContractRange(ColumnMapMetricProvider):  # type: ignore[misc]
    """True for numbers within a range and texts of some lengths. What is of another type is judged elsewhere."""

    condition_metric_name = RANGE
    condition_value_keys = ("low", "high", "low_length", "high_length")

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: pd.Series, low: Any, high: Any, low_length: Any, high_length: Any, **_: Any) -> pd.Series:
        bounds = (-inf if low is None else low, inf if high is None else high)
        lengths = (low_length or 0, inf if high_length is None else high_length)
        return column.map(lambda value: _is_within(value, bounds, lengths)).astype(bool)


def _is_within(value: Any, bounds: tuple[float, float], lengths: tuple[float, float]) -> bool:
    if type(value) is str:
        return lengths[0] <= len(value) <= lengths[1]
    return type(value) not in (int, float) or bounds[0] <= value <= bounds[1]


def _said(template: str, params: dict[str, Any]) -> list[Any]:
    """A sentence as Great Expectations' pages take it; `$name` stands for a parameter."""
    content = {"template": template, "params": {name: escape(str(value)) for name, value in params.items()}}
    return [RenderedStringTemplateContent(content_block_type="string_template", string_template=content)]


class ExpectColumnValuesToBeOfContractType(ColumnMapExpectation):  # type: ignore[misc]
    """Expect the values to have the field's type and to pass its check: `form` has type, identifier and pattern."""

    form: dict[str, Any]

    map_metric: ClassVar[str] = TYPE
    success_keys: ClassVar[tuple[str, ...]] = ("form", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "form")

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(cls, configuration: Any = None, **_: Any) -> list[Any]:
        form = configuration.kwargs["form"]
        check = form["pattern"] or form["identifier"] or "nothing else"
        return _said("values must be of type $type; checked: $check", {"type": form["type"], "check": check})


class ExpectColumnValuesToBeInContractRange(ColumnMapExpectation):  # type: ignore[misc]
    """Expect numbers from `low` to `high`, and texts of `low_length` to `high_length` characters."""

    low: float | None = None
    high: float | None = None
    low_length: int | None = None
    high_length: int | None = None

    map_metric: ClassVar[str] = RANGE
    success_keys: ClassVar[tuple[str, ...]] = ("low", "high", "low_length", "high_length", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "low", "high", "low_length", "high_length")

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(cls, configuration: Any = None, **_: Any) -> list[Any]:
        kwargs = {name: value for name, value in configuration.kwargs.items() if name != "column"}
        given = {name: value for name, value in kwargs.items() if value is not None}
        return _said(f"values must keep {', '.join(f'{name} $' + name for name in given)}", given)
