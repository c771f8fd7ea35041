"""The forms of the drills: how large they are, and what they must reach."""

from __future__ import annotations

from airflow.sdk import Param


def failover_form() -> dict[str, Param]:
    """Fields named as those of `FailoverPlan`."""
    return {
        "instruments": Param(
            20_000,
            type="integer",
            minimum=100,
            maximum=200_000,
            title="Instruments",
            description="How many synthetic ones the scratch group is filled with.",
        ),
        "writes_per_s": Param(
            500,
            type="integer",
            minimum=10,
            maximum=20_000,
            title="Writes",
            description="Instruments written per second.",
        ),
        "reads_per_s": Param(
            200,
            type="integer",
            minimum=2,
            maximum=5000,
            title="Reads",
            description="Requests per second; half of them for instruments that do not change.",
        ),
        "write_gap_s_max": Param(
            3.5,
            type="number",
            minimum=0.1,
            maximum=60,
            title="Target: write gap",
            description="At most so many seconds without an acknowledged write.",
        ),
        "failed_cached_reads_max": Param(
            0,
            type="integer",
            minimum=0,
            maximum=1_000_000,
            title="Target: failed cached reads",
            description="At most so many reads of unchanged instruments may fail.",
        ),
    }


def dr_form() -> dict[str, Param]:
    """Fields named as those of `DrTargets`, and the region."""
    return {
        "region": Param(
            "second",
            type="string",
            enum=["second", "first"],
            title="Region of the backup",
            description="Whose bucket the new region is restored from. The other one is taken to be lost.",
        ),
        "rto_s_max": Param(
            120,
            type="number",
            minimum=1,
            maximum=86_400,
            title="Target: time to recovery (RTO)",
            description="At most so many seconds until REST serves.",
        ),
        "rpo_s_max": Param(
            0,
            type="number",
            minimum=0,
            maximum=86_400,
            title="Target: what may be lost (RPO)",
            description="The oldest change that the region lacks after it caught up is at most so many seconds old.",
        ),
        "backup_age_s_max": Param(
            3600,
            type="number",
            minimum=1,
            maximum=31_536_000,
            title="Target: age of the backup",
            description="At most so many seconds: what would be lost if the log were lost too.",
        ),
    }
