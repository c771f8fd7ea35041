"""The form of `stream_upgrade`: its fields, and what the pod is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

UPGRADE: Final = "upgrade"
ROLL_BACK: Final = "roll back"
SCALE: Final = "change parallelism"
# What a release may be called: it is part of a job's name and of an object's key.
_VERSION: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def upgrade_form() -> dict[str, Param]:
    """The fields."""
    return {
        "action": Param(
            UPGRADE,
            type="string",
            enum=[UPGRADE, ROLL_BACK, SCALE],
            title="What to do",
            description="Another release, an earlier one, or the same one at another parallelism.",
        ),
        "version": Param(
            None,
            type=["null", "string"],
            pattern=_VERSION,
            title="Release",
            description="A published release. Empty: to upgrade, the code of the image; to roll back, the newest "
            "other release that ran well.",
        ),
        "parallelism": Param(
            None, type=["null", "integer"], minimum=1, maximum=1024, title="Parallelism", description="Empty: as it is."
        ),
        "begin": Param(
            "newest",
            type="string",
            enum=["newest", "before", "beginning"],
            title="Where it begins",
            description="newest: a savepoint made now. before: what the present release read is read again. "
            "beginning: of the log.",
        ),
        "gate_s": Param(
            None,
            type=["null", "integer"],
            minimum=5,
            maximum=300,
            title="Gate, in seconds",
            description="For how long it is on trial. Empty: ICACHE_UPGRADE_GATE_S.",
        ),
    }


def launcher_arguments(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Arguments of `python -m flink_jobs.submit`. Raises AirflowFailException for fields that contradict each other."""
    options = ["--run", run_id]
    options += ["--gate-s", str(params["gate_s"])] if params["gate_s"] else []
    if params["action"] == SCALE:
        return ["scale", str(_scale(params)), *options]
    options += ["--to", params["version"]] if params["version"] else []
    options += ["--parallelism", str(params["parallelism"])] if params["parallelism"] else []
    action = "rollback" if params["action"] == ROLL_BACK else "upgrade"
    return [action, "--from", params["begin"], *options]


def _scale(params: Mapping[str, Any]) -> int:
    if params["parallelism"] is None or params["version"] is not None:
        raise AirflowFailException(f"To {SCALE}, give the parallelism and no release; start a new run with both right.")
    parallelism: int = params["parallelism"]
    return parallelism
