"""DAGs of one KubernetesPodOperator each, as a cluster would run them; `python FILE FOLDER` runs each by dag.test()."""

import sys
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

# Speaks until its gate is opened, so that a test sees that it is being listened to.
GATE = "while [ ! -e $GATES/{{ dag.dag_id }} ]; do echo waiting; sleep 0.2; done; echo after {{ dag.dag_id }}"


def pod_dag(dag_id: str, script: str, *, deferrable: bool = False, **settings: Any) -> DAG:
    """Return a DAG whose one pod runs a shell script."""
    with DAG(dag_id, schedule=None) as dag:
        KubernetesPodOperator(
            task_id="pod",
            name="job",
            namespace="test",
            image="shell:dev",
            cmds=["sh", "-c"],
            arguments=[script],
            env_vars={"GREETING": "hello from {{ dag.dag_id }}"},
            deferrable=deferrable,
            poll_interval=0.5,
            startup_check_interval_seconds=1,
            log_events_on_failure=True,
            termination_message_policy="FallbackToLogsOnError",
            **settings,
        )
    return dag


DAGS = [
    pod_dag("sync_success", "echo $GREETING; sleep 1; printf 'no newline'"),
    pod_dag("sync_failure", "echo $GREETING; exit 3", on_finish_action="keep_pod"),
    pod_dag("deferred_success", "echo $GREETING; sleep 2", deferrable=True, logging_interval=1),
    pod_dag("deferred_failure", "echo $GREETING; sleep 1; exit 3", deferrable=True, on_finish_action="keep_pod"),
    pod_dag("refused", "true", node_selector={"disk": "ssd"}),
    pod_dag("sync_crash", GATE, on_finish_action="keep_pod"),
    pod_dag("deferred_crash", GATE + "; exit 3", deferrable=True, on_finish_action="keep_pod"),
]
globals().update({dag.dag_id: dag for dag in DAGS})

if __name__ == "__main__":
    for dag in DAGS:
        Path(sys.argv[1], dag.dag_id).write_text(dag.test().state)
