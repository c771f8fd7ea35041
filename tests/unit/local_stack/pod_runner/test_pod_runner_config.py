"""The settings file: taken as a whole, or refused with one sentence that tells the way out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.pod_runner.config import ConfigError, load_config
from local_stack.pod_runner.kubeconfig import airflow_connection_json, kubeconfig


def write(tmp_path: Path, **changes: Any) -> Path:
    token_file = tmp_path / "token"
    token_file.touch(mode=0o600)
    token_file.write_text("0123456789abcdef\n")
    settings = {
        "token_file": str(token_file),
        "state_dir": str(tmp_path / "state"),
        "images": {"app:dev": {"cwd": str(tmp_path), "env": {"A": "1"}}},
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


def test_yaml_and_json_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, port=9000)
    config = load_config(path)
    assert (config.host, config.port, config.token()) == ("127.0.0.1", 9000, "0123456789abcdef")
    path.write_text(json.dumps(yaml.safe_load(path.read_text())))
    assert load_config(path) == config


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_addresses_are_taken(tmp_path: Path, host: str) -> None:
    assert load_config(write(tmp_path, host=host)).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_other_addresses_are_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="is not a loopback address"):
        load_config(write(tmp_path, host=host))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 0}, "port 0 is not in 1..65535"),
        ({"port": "http"}, "Expected `int`"),
        ({"prot": 1}, "unknown field `prot`"),
        ({"images": {"x": {"cwd": "/no/such/folder"}}}, "is no directory"),
        ({"images": {"x": {"cwd": "/", "comand": []}}}, "unknown field `comand`"),
        ({"namespace": "Upper"}, "is not a DNS label"),
        ({"token_file": "/no/such/file"}, "put a random token there"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, **changes))


def test_missing_file_and_bad_syntax_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a settings file"):
        load_config(tmp_path / "none")
    (tmp_path / "bad").write_text("{")
    with pytest.raises(ConfigError, match="is not a pod runner configuration"):
        load_config(tmp_path / "bad")


def test_open_or_short_token_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_config(path)
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "token").write_text("short")
    with pytest.raises(ConfigError, match="at least 16"):
        load_config(path)


def test_secrets_in_an_open_file_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, secrets={"redis": {"PASSWORD": "p"}})
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="holds secrets"):
        load_config(path)
    path.chmod(0o600)
    assert load_config(path).secrets == {"redis": {"PASSWORD": "p"}}


def test_kubeconfig_and_connection_hold_address_token_and_namespace() -> None:
    config = kubeconfig("::1", 8083, "t", "ns")
    assert config["clusters"][0]["cluster"]["server"] == "http://[::1]:8083"
    assert config["users"][0]["user"]["token"] == "t"
    assert config["contexts"][0]["context"]["namespace"] == "ns"
    connection = json.loads(airflow_connection_json("::1", 8083, "t", "ns"))
    assert connection["conn_type"] == "kubernetes"
    assert connection["extra"] == {"kube_config": config, "namespace": "ns"}
