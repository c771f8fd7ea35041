"""Contracts → a page of Markdown, so that what is written about a dataset is what the product does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from instrument_cache.avro_schema import subject
from instrument_cache.contract.field_changes import TYPE_NAMES
from instrument_cache.contract.model import Contract, Field, QualityRule

_INTRODUCTION: Final = """\
# Contracts

One file per dataset, `NAME.yaml` in `contracts/` (Open Data Contract Standard 3), is the one description of it: the
feed, the job, the lookup service and the tests read nothing else. `ICACHE_DATASET` chooses the dataset; a second one is
a second file. This page is made of the files by `icache contract docs`: change them, not it.

## On the wire

A change record is JSON or Avro, recognised record by record: a value whose first byte is 0 is Avro in Confluent's
wire format (the byte 0, the schema's id in 4 bytes, the record), everything else is JSON. Both hold `op`, `version`,
`source` and `record`. Avro takes a schema registry (`ICACHE_SCHEMA_REGISTRY_URL`); `icache contract avro NAME` prints
the schema, and with `--register` registers it under `NAME-value`.

A field that the contract does not know is ignored, and one that the record does not have is null. So old readers take
new records, and new readers old ones.

A `version` has always 16 digits. The contract says what the source's own field counts, and the feed converts it:
microseconds, milliseconds or seconds since 1970, or a log position (which is added to 10¹⁵).

## Changing a contract

1. Change `NAME.yaml` and raise its `version`: MAJOR if the change breaks readers or writers, else MINOR.
2. Copy the file to `contracts/released/`, as `NAME/VERSION.yaml`. A released file stays as it is.
3. Run `icache contract check`, which names each field that is not right and how to mend it, and `icache contract docs`.

`icache contract diff OLD NEW` shows what a change does to whom. *Readers* are those that ask the cache or read the
topic, *writers* those that produce its records.
"""
_ENTRIES: Final = (
    ("ttlSeconds", "ttl_s"),
    ("tombstoneTtlSeconds", "tombstone_ttl_s"),
    ("replaySecondsMax", "replay_s_max"),
    ("recordBytesMax", "record_bytes_max"),
    ("versionAheadSecondsMax", "version_ahead_s_max"),
    ("httpMaxAgeSeconds", "http_max_age_s"),
)


def documentation(contracts: Iterable[Contract]) -> str:
    """The whole page. The same contracts give the same text."""
    return "\n".join([_INTRODUCTION, *map(_section, contracts)])


def _section(contract: Contract) -> str:
    alias_keys = "".join(f", `{alias.prefix}:{{{alias.field.name}}}` (leads to the key)" for alias in contract.aliases)
    version = f"`{contract.version_field.name}`, {contract.version_unit.value}"
    facts = [
        ["version of the contract", contract.version],
        ["key", f"`{contract.key.name}`"],
        ["version of a record", version],
        ["Redis keys", f"`{contract.redis_key(f'{{{contract.key.name}}}')}`{alias_keys}"],
        ["Kafka topics", f"`{contract.dataset}`, `{contract.dataset}.dead-letter`"],
        ["Avro subject", f"`{subject(contract)}`"],
    ]
    limits = [[f"`{name}`", _shown(getattr(contract, of)), contract.notes.get(name, "")] for name, of in _ENTRIES]
    fields = [_field(contract, field) for field in contract.input_fields]
    return "\n".join(
        [
            f"## {contract.dataset}\n\n{contract.purpose}\n",
            *_table(["what", "is"], facts),
            f"\n### Fields of {contract.dataset}\n",
            *_table(["field", "type", "kept", "required", "identifier", "description"], fields),
            f"\n### Times and limits of {contract.dataset}\n",
            *_table(["entry", "value", "why"], limits),
            f"\n### Quality rules of {contract.dataset}\n",
            "The stream does not judge by them: a record that breaks one is served. `data_quality` does:\n"
            "[quality.md](quality.md) says how, and what each severity does.\n",
            *_table(["rule", "field", "expects", "severity"], map(_rule, contract.quality)),
            "",
        ]
    )


def _field(contract: Contract, field: Field) -> list[str]:
    aliases = [f"alias `{alias.prefix}`" for alias in contract.aliases if alias.field.name == field.name]
    check = f"`{field.pattern}`" if field.pattern else (field.identifier or "")
    return [
        f"`{field.name}`",
        TYPE_NAMES[field.type],
        "yes" if field.kept else "no",
        "yes" if field.required else "no",
        ", ".join(filter(None, [check, *aliases])),
        field.description,
    ]


def _rule(rule: QualityRule) -> list[str]:
    """`nullValues must be less than 5 percent`."""
    expects = " and ".join(f"{_words(operator)} {bound}" for operator, bound in rule.expects.items())
    asked = rule.metric or rule.query or rule.description
    arguments = "".join(f", {name} `{value}`" for name, value in rule.arguments.items())
    text = f"{asked} {expects}{' percent' if rule.unit == 'percent' else ''}{arguments}".strip()
    return [f"`{rule.name}`", f"`{rule.field}`" if rule.field else "all", text, rule.severity]


def _words(operator: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in operator)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    for row in rows:
        yield _row([cell.replace("|", "\\|") for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: int | None) -> str:
    return "null" if value is None else str(value)
