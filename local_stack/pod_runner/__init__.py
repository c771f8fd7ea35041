"""A small stand-in for the Kubernetes API whose pods are processes of this machine.

What it is: enough of `/api/v1/namespaces/{ns}/pods` (create, list, watch, read, patch, delete, logs, events) for an
unmodified Airflow KubernetesPodOperator, sync or deferrable, so that one DAG serves laptop and cluster and only the
connection differs. Pods outlive a crash of the runner, and their exit codes are never lost.

What it is not: a container runtime. Nothing is isolated: a pod sees the machine's files and network and runs as the
user of the runner; resource limits and security contexts are recorded but not enforced (an event says so). It never
guesses: a pod field it does not implement is refused with 422 and the field's path, an unknown image likewise.

    python -m local_stack.pod_runner --config FILE        # FILE: JSON or YAML, see config.py

Parts, in the order a pod meets them: app (routes) → validation → store (one file per pod) → supervisor → shim (parent
of the pod's process, writes its log and exit code) → lifecycle (status) → logs, watch (what clients read).
`kubeconfig` makes Airflow's connection, `testing` runs a runner inside a test.
"""
