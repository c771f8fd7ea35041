"""How the pod looks that launches or stops the streaming job; the operator is Airflow's own, unmodified."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Literal

from instrument_cache.settings import environment

SECRET: Final = "instrument-cache"
LABELS: Final = {"app.kubernetes.io/name": "instrument-cache", "app.kubernetes.io/component": "stream-submit"}


def stream_pod(verb: Literal["ensure", "stop", "upgrade"], arguments: Any = None) -> dict[str, Any]:
    """Arguments of a KubernetesPodOperator whose pod runs `python -m flink_jobs.submit VERB` and exits in seconds:

        KubernetesPodOperator(task_id="ensure_job", **stream_pod("ensure"))

    `arguments` stand in place of the verb; they may be the output of a task. Every ICACHE_ setting of the pod comes
    from the Secret, on a cluster and on a laptop.
    """
    from kubernetes.client import models as k8s

    env = environment()
    return {
        "kubernetes_conn_id": "kubernetes_default",
        "namespace": env.text("ICACHE_NAMESPACE", "instrument-cache"),
        "image": env.text("ICACHE_FLINK_IMAGE", "instrument-cache-flink:dev"),
        "image_pull_policy": "IfNotPresent",
        "name": f"stream-{verb}",
        "random_name_suffix": True,
        "cmds": ["python", "-m", "flink_jobs.submit"],
        "arguments": [verb] if arguments is None else arguments,
        "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=SECRET))],
        "labels": LABELS,
        **_supervision(),
        **_confinement(),
    }


def _supervision() -> dict[str, Any]:
    return {
        # The worker that made the pod may die: the next try finds the pod again. The triggerer waits, no worker does.
        "deferrable": True,
        "durable": True,
        "poll_interval": 2.0,
        "startup_timeout_seconds": 120,
        "execution_timeout": timedelta(minutes=10),
        "active_deadline_seconds": 600,
        # The log is in the task before the pod goes. A kept pod would be taken for the next try's.
        "get_logs": True,
        "on_finish_action": "delete_pod",
        "termination_message_policy": "FallbackToLogsOnError",
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,
        "do_xcom_push": False,
    }


def _confinement() -> dict[str, Any]:
    """What Kubernetes' "restricted" Pod Security level asks for, and room for `flink run` (a JVM and a Python)."""
    from kubernetes.client import models as k8s

    return {
        "container_resources": k8s.V1ResourceRequirements(
            requests={"cpu": "500m", "memory": "768Mi"}, limits={"memory": "1536Mi"}
        ),
        "security_context": k8s.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
        "container_security_context": k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
        "automount_service_account_token": False,
    }
