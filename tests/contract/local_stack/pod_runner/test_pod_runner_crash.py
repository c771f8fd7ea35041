"""What a crash of the runner, of a shim, and a regular end do to pods; and how the runner refuses to start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.pod_runner.process import identify
from local_stack.pod_runner.testing import RunningPodRunner

NAMESPACE = "test"
DEADLINE_S = 20.0
Pods = Any
OwnRunner = Callable[..., Pods]


def stored(pods: Pods, name: str) -> dict[str, Any]:
    files = [json.loads(path.read_text()) for path in pods.runner.state_dir.glob("pods/*.json")]
    (content,) = [content for content in files if content["pod"]["metadata"]["name"] == name]
    return dict(content)


def pod_pid(pods: Pods, name: str) -> int:
    uid = stored(pods, name)["pod"]["metadata"]["uid"]
    return int(json.loads((pods.runner.state_dir / "run" / uid / "process.json").read_text())["pid"])


def await_death(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while identify(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} still lives"
        time.sleep(0.02)


def gated(gate: Path, end: str) -> str:
    return f"echo first; while [ ! -e {gate} ]; do sleep 0.05; done; echo last; {end}"


def test_pod_that_ends_while_the_runner_is_dead(own_runner: OwnRunner, tmp_path: Path) -> None:
    pods = own_runner()
    uid = pods.create("survivor", gated(tmp_path / "gate", "exit 3")).metadata.uid
    pods.await_log("survivor", "first")
    pid = pod_pid(pods, "survivor")
    pods.runner.kill()
    assert identify(pid) is not None
    (tmp_path / "gate").touch()
    await_death(pid)
    pods.runner.start()
    pod = pods.await_end("survivor")
    assert (pod.metadata.uid, pod.status.container_statuses[0].state.terminated.exit_code) == (uid, 3)
    assert pods.log("survivor") == "first\nlast\n"


def test_pod_that_lives_on_is_supervised_again(own_runner: OwnRunner, tmp_path: Path) -> None:
    pods = own_runner()
    version = int(pods.create("resumed", gated(tmp_path / "gate", "exit 0")).metadata.resource_version)
    pods.await_log("resumed", "first")
    pods.runner.kill()
    pods.runner.start()
    assert pods.read("resumed").status.phase == "Running"
    follow = pods.api.read_namespaced_pod_log("resumed", NAMESPACE, follow=True, _preload_content=False)
    (tmp_path / "gate").touch()
    assert b"".join(follow.stream(amt=None)) == b"first\nlast\n"
    pod = pods.await_end("resumed")
    assert pod.status.phase == "Succeeded"
    assert int(pod.metadata.resource_version) > version


def test_deadline_and_deletion_hold_across_a_crash(own_runner: OwnRunner) -> None:
    pods = own_runner()
    pods.create("late", "exec sleep 600", activeDeadlineSeconds=2)
    pods.create("leaving", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    pods.await_log("leaving", "ready")
    pods.await_phase("late", "Running")
    pid = pod_pid(pods, "leaving")
    pods.api.delete_namespaced_pod("leaving", NAMESPACE, grace_period_seconds=1)
    pods.runner.kill()
    pods.runner.start()
    pods.await_gone("leaving")
    assert identify(pid) is None
    assert pods.await_end("late").status.reason == "DeadlineExceeded"


@pytest.mark.parametrize("runner_is_dead", [False, True])
def test_pod_whose_shim_vanished_is_lost(own_runner: OwnRunner, runner_is_dead: bool) -> None:
    pods = own_runner()
    pods.create("lost", "trap '' PIPE; while :; do sleep 0.05; done")
    pods.await_phase("lost", "Running")
    pid, shim_pid = pod_pid(pods, "lost"), stored(pods, "lost")["shim"][0]
    if runner_is_dead:
        pods.runner.kill()
    os.kill(shim_pid, signal.SIGKILL)
    if runner_is_dead:
        pods.runner.start()
    pod = pods.await_end("lost")
    terminated = pod.status.container_statuses[0].state.terminated
    assert (pod.status.phase, terminated.reason, terminated.exit_code) == ("Failed", "Lost", 137)
    assert "vanished without recording an exit code" in terminated.message
    await_death(pid)


def test_pod_that_was_accepted_and_not_started_is_started_later(own_runner: OwnRunner) -> None:
    pods = own_runner()
    pods.create("early", "echo ran")
    pods.await_end("early")
    pods.runner.kill()
    (path,) = pods.runner.state_dir.glob("pods/*.json")
    content = json.loads(path.read_text())
    waiting = {"phase": "Pending", "startTime": content["pod"]["status"]["startTime"]}
    # As the file was between acceptance and start.
    path.write_text(json.dumps({**content, "shim": None, "pod": {**content["pod"], "status": waiting}}))
    for left in ("process.json", "exit.json", "log"):
        (pods.runner.state_dir / "run" / path.stem / left).unlink(missing_ok=True)
    pods.runner.start()
    assert pods.await_end("early").status.phase == "Succeeded"
    assert pods.log("early") == "ran\n"


def test_regular_end_ends_pods_within_five_seconds(own_runner: OwnRunner) -> None:
    pods = own_runner()
    pods.create("polite", "exec sleep 600")
    pods.create("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    pods.await_phase("polite", "Running")
    pods.await_log("stubborn", "ready")
    pids = [pod_pid(pods, name) for name in ("polite", "stubborn")]
    follow = pods.api.read_namespaced_pod_log("polite", NAMESPACE, follow=True, _preload_content=False)
    started = time.monotonic()
    assert pods.runner.stop() == 0
    assert time.monotonic() - started < 5
    follow.close()
    assert [identify(pid) for pid in pids] == [None, None]
    pods.runner.start()
    exits = {name: pods.read(name).status for name in ("polite", "stubborn")}
    assert {status.reason for status in exits.values()} == {"Terminated"}
    codes = {name: status.container_statuses[0].state.terminated.exit_code for name, status in exits.items()}
    assert codes == {"polite": 143, "stubborn": 137}


def test_old_finished_pods_are_collected(own_runner: OwnRunner) -> None:
    pods = own_runner(finished_pods_max=2)
    for number in range(3):
        pods.create(f"p{number}", "true")
        pods.await_end(f"p{number}")
    assert [pod.metadata.name for pod in pods.api.list_namespaced_pod(NAMESPACE).items] == ["p1", "p2"]
    assert len(list((pods.runner.state_dir / "run").iterdir())) == 2


def refused_start(runner: RunningPodRunner) -> str:
    with pytest.raises(RuntimeError) as error:
        runner.start()
    return str(error.value)


def test_second_runner_of_a_state_folder_is_refused(own_runner: OwnRunner, tmp_path: Path) -> None:
    own_runner()
    assert "another runner uses state_dir" in refused_start(RunningPodRunner(tmp_path, {}))


def test_taken_port_is_refused(own_runner: OwnRunner, tmp_path: Path) -> None:
    port = own_runner().runner.port
    (tmp_path / "second").mkdir()
    second = RunningPodRunner(tmp_path / "second", {})
    config = json.loads((tmp_path / "second" / "runner.json").read_text()) | {"port": port}
    (tmp_path / "second" / "runner.json").write_text(json.dumps(config))
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused_start(second)


def test_other_than_loopback_is_refused_in_one_sentence(tmp_path: Path) -> None:
    RunningPodRunner(tmp_path, {})
    path = tmp_path / "runner.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "0.0.0.0"}))
    command = [sys.executable, "-m", "local_stack.pod_runner", "--config", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ended.returncode == 2
    assert ended.stderr.startswith("pod runner: host '0.0.0.0' is not a loopback address")
    assert ended.stderr.count("\n") == 1
