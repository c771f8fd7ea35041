"""The stack's supervisor (supervisord, over a unix socket of mode 0700): it starts, stops and restarts what dies."""

from __future__ import annotations

import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from supervisor.xmlrpc import SupervisorTransport

from instrument_cache.doctor.restarts_part import starts_in
from instrument_cache.errors import InstrumentCacheError, Unavailable
from local_stack.components.component import Component
from local_stack.instance import PROJECT, Instance, write_private
from local_stack.launch import write_environment
from local_stack.processes import is_running

_UP_TIMEOUT_S: Final = 10.0


class SupervisorUnavailable(Unavailable):
    """The supervisor does not run."""


class Supervisor:
    """Talks to the instance's supervisord."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._socket = instance.folder("run") / "supervisor.sock"
        self._log = instance.folder("log") / "supervisor.log"
        if len(str(self._socket)) > 100:
            raise InstrumentCacheError(
                f"ICACHE_HOME is too long for a unix socket ({self._socket}); choose a shorter path"
            )

    def ensure(self, components: Iterable[Component]) -> None:
        """Start supervisord if it does not run, and give it the programs; programs that run are left alone."""
        config = self._instance.folder("conf") / "supervisord.conf"
        components = list(components)
        for component in components:
            write_environment(self._instance, component.name, component.environment(self._instance))
        write_private(config, self._config(components))
        if self.is_up():
            self._update()
            return
        self.await_end()
        self._socket.unlink(missing_ok=True)
        self._wait_up(self._launch([sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]))

    def _launch(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """It goes to the background, into a session of its own."""
        environment = self._instance.base_environment()
        return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)

    def _update(self) -> None:
        """Give a running supervisord the configuration; programs whose own part changed are started anew later."""
        added, changed, removed = self._call("supervisor.reloadConfig")[0]
        for name in [*changed, *removed]:
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in [*changed, *added]:
            self._call("supervisor.addProcessGroup", name)

    def await_end(self, timeout_s: float = 25.0) -> None:
        """Wait for a supervisord that was told to end: its pid file goes last."""
        pid_file = self._instance.home / "run" / "supervisord.pid"
        deadline = time.monotonic() + timeout_s
        while is_running(_pid_in(pid_file)) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _wait_up(self, done: subprocess.CompletedProcess[str]) -> None:
        deadline = time.monotonic() + _UP_TIMEOUT_S
        while not self.is_up():
            if done.returncode or time.monotonic() > deadline:
                raise SupervisorUnavailable(
                    f"the supervisor did not start: {(done.stderr or done.stdout).strip()[-400:]}"
                )
            time.sleep(0.05)

    def is_up(self) -> bool:
        try:
            self._call("supervisor.getState")
        except SupervisorUnavailable:
            return False
        return True

    def start(self, name: str) -> None:
        """Start a program that does not run; supervisord is then the one that keeps it running."""
        if self.state(name)["statename"] not in ("RUNNING", "STARTING", "BACKOFF"):
            self._call("supervisor.startProcess", name, False)

    def stop(self, name: str) -> None:
        if self.state(name)["statename"] in ("RUNNING", "STARTING", "BACKOFF", "STOPPING"):
            self._call("supervisor.stopProcess", name, True)

    def state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self._call("supervisor.getProcessInfo", name)
        return state

    def states(self) -> dict[str, dict[str, Any]]:
        return {info["name"]: info for info in self._call("supervisor.getAllProcessInfo")}

    def shutdown(self, timeout_s: float = 15.0) -> None:
        """Tell every program to stop at once (by itself, supervisord stops one after the other), then end."""
        self._call("supervisor.stopAllProcesses", False)
        deadline = time.monotonic() + timeout_s
        while any(state["statename"] == "STOPPING" for state in self.states().values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._call("supervisor.shutdown")

    def restarts(self) -> dict[str, int]:
        """How often each program was started again since the supervisor came up."""
        try:
            starts = starts_in(self._log.read_text(errors="replace"))
        except FileNotFoundError:
            return {}
        return {name: each.again for name, each in starts.items()}

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        proxy: Any = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy, method)(*arguments)
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise SupervisorUnavailable(
                f"the stack's supervisor does not answer ({error}); `icache up` starts it"
            ) from error
        except xmlrpc.client.Fault as fault:
            if fault.faultString.startswith("BAD_NAME"):
                raise InstrumentCacheError(f"there is no part {arguments[0]!r}; `icache status` lists them") from None
            if fault.faultString.startswith("SHUTDOWN_STATE"):
                raise SupervisorUnavailable("the stack is shutting down; try again in a moment") from None
            raise InstrumentCacheError(f"the supervisor refused {method}{arguments}: {fault.faultString}") from None
        finally:
            transport.close()

    def _config(self, components: Iterable[Component]) -> str:
        return "\n".join([self._head(), *(self._program(component) for component in components)])

    def _head(self) -> str:
        run = self._instance.home / "run"
        return f"""\
[unix_http_server]
file={self._socket}
chmod=0700
[supervisord]
logfile={self._log}
pidfile={run / "supervisord.pid"}
childlogdir={self._instance.folder("log")}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

    def _program(self, component: Component) -> str:
        instance = self._instance
        launch = [str(instance.python), "-m", "local_stack.launch", component.name, *component.command(instance)]
        return f"""\
[program:{component.name}]
command={" ".join(_quote(part) for part in launch)}
directory={PROJECT}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={component.stop_signal}
stopwaitsecs={component.stop_timeout_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log_path(instance, component.name)}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def _pid_in(path: Path) -> int:
    """0, which no process has, once supervisord has removed its file: that may be between two looks at it."""
    try:
        return int(path.read_text() or "0")
    except FileNotFoundError:
        return 0


def log_path(instance: Instance, name: str) -> Path:
    """Where a part's output goes."""
    return instance.folder("log") / f"{name}.log"


def _quote(part: str) -> str:
    escaped = part.replace("%", "%%")
    return f"'{escaped}'" if " " in part or ";" in part or "*" in part else escaped
