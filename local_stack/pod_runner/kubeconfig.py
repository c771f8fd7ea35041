"""How clients reach the runner: a kubeconfig, and Airflow's connection that holds one."""

import json

from local_stack.pod_runner.status import Json

_NAME = "local-pod-runner"


def kubeconfig(host: str, port: int, token: str, namespace: str) -> Json:
    """Return a kubeconfig with one cluster, user and context. Plain HTTP: the runner serves loopback only."""
    address = f"[{host}]" if ":" in host else host
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": f"http://{address}:{port}"}}],
        "users": [{"name": _NAME, "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": namespace}}],
        "current-context": _NAME,
    }


def airflow_connection_json(host: str, port: int, token: str, namespace: str) -> str:
    """Return the value of AIRFLOW_CONN_KUBERNETES_DEFAULT, for the operator and for the triggerer alike."""
    # An object, not text: so Airflow finds the token in it and masks it in logs.
    extra = {"kube_config": kubeconfig(host, port, token, namespace), "namespace": namespace}
    return json.dumps({"conn_type": "kubernetes", "extra": extra})
