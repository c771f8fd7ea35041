"""Loads DAG files as Airflow's DAG processor does and prints, for each, the CPU time and what it imported, as JSON.

The processor imports the modules of Airflow that a file names before it forks; only what comes on top is paid again and
again. `test_dags.py` runs this in a process of its own, where nothing is imported yet.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
from pathlib import Path

from tests.unit.plugins import airflow_env


def main(files: list[Path]) -> dict[str, dict[str, object]]:
    importlib.import_module("airflow.dag_processing.manager")
    sys.path.append(str(airflow_env.PROJECT / "plugins"))
    return {file.stem: _parse(file) for file in files}


def _parse(file: Path) -> dict[str, object]:
    from airflow.utils.file import iter_airflow_imports

    for module in iter_airflow_imports(str(file)):
        importlib.import_module(module)
    known, began_s = set(sys.modules), time.process_time()
    runpy.run_path(str(file))
    took_s = time.process_time() - began_s
    return {"took_s": took_s, "on_top": _packages(set(sys.modules) - known), "all": _packages(set(sys.modules))}


def _packages(modules: set[str]) -> list[str]:
    return sorted({module.partition(".")[0] for module in modules})


if __name__ == "__main__":
    print(json.dumps(main([Path(argument) for argument in sys.argv[1:]])))
