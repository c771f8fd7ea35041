"""A whole run, as the tasks of the DAG do it, in a process: `python -m tests.integration.reconcile.run RUN_ID`."""

from __future__ import annotations

import sys

from instrument_cache.reconcile.plan import Order
from instrument_cache.reconcile.service import Reconcile

if __name__ == "__main__":
    service = Reconcile()
    print("compare", flush=True)
    service.compare(sys.argv[1], Order(shards=4, grace_s=3))
    print("repair", flush=True)
    service.repair(sys.argv[1], approved=True)
    print("report", flush=True)
    service.report(sys.argv[1])
