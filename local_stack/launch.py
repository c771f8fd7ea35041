"""Starts one supervised program: `python -m local_stack.launch NAME COMMAND…`.

First it ends what an earlier life of the same component left behind: the workers of a killed server would still hold
its port. Then it becomes the program.
"""

from __future__ import annotations

import os
import sys

from local_stack.processes import end, marked


def main() -> None:
    name, command = sys.argv[1], sys.argv[2:]
    left = end(marked(os.environ["ICACHE_INSTANCE"], name), grace_s=2.0)
    if left:
        print(f"launch: ended {left} processes that an earlier {name} left behind", flush=True)
    os.execvpe(command[0], command, {**os.environ, "ICACHE_COMPONENT": name})


if __name__ == "__main__":
    main()
