"""docker-compose.yaml: it loads, and is the laptop stack in containers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local_stack.components.product import FLINK_IMAGE, NAMESPACE
from local_stack.instance import PORTS, PROJECT, SECRETS
from local_stack.stack import COMPONENTS
from tests.unit.docker.conftest import Services

# What ends by itself, and the database that takes SQLite's place.
ONLY_HERE = {"init", "airflow-init", "postgres"}
ONCE = {"init", "airflow-init"}


def test_loads_without_error_or_warning(loaded: subprocess.CompletedProcess[str]) -> None:
    assert (loaded.returncode, loaded.stderr) == (0, "")


def test_has_the_services_of_the_laptop_stack(services: Services) -> None:
    assert set(services) - ONLY_HERE == {component.name for component in COMPONENTS}


def test_every_port_of_the_laptop_is_there_with_the_same_number(services: Services) -> None:
    for component in COMPONENTS:
        for name in component.ports:
            assert PORTS[name] in _published(services[component.name]) | _exposed(services[component.name]), name


def test_publishes_only_on_the_loopback_and_only_ports_of_the_laptop(services: Services) -> None:
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name
            assert int(port["published"]) == port["target"] in PORTS.values(), name


def test_what_runs_commands_is_not_published(services: Services) -> None:
    assert not _published(services["pod-runner"])


def test_every_image_is_pinned(services: Services) -> None:
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert tag not in ("", "latest", service["image"]), name
        assert service.get("build") or re.search(r"\d+\.\d+", tag), name


def test_every_dockerfile_and_target_exists(services: Services) -> None:
    for name, service in services.items():
        if build := service.get("build"):
            dockerfile = PROJECT / build["dockerfile"]
            assert dockerfile.is_file(), name
            assert f" AS {build.get('target', '')}" in dockerfile.read_text(), name


def test_pods_ask_for_the_image_that_is_built(services: Services) -> None:
    assert services["flink-jobmanager"]["image"] == FLINK_IMAGE
    for name in ("pod-runner", "airflow-scheduler", "airflow-triggerer"):
        environment = services[name]["environment"]
        assert environment["ICACHE_FLINK_IMAGE"] == FLINK_IMAGE
        assert environment["ICACHE_NAMESPACE"] == NAMESPACE


def test_waits_for_health_where_a_service_has_one(services: Services) -> None:
    for name, service in services.items():
        assert (name in ONCE) != ("healthcheck" in service), name
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how["condition"] == expected, (name, needed)


def test_restarts_what_dies_and_limits_its_memory(services: Services) -> None:
    for name, service in services.items():
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert service["deploy"]["resources"]["limits"]["memory"], name


def test_our_images_have_no_privileges(services: Services) -> None:
    for name, service in services.items():
        if "build" in service:
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert "privileged" not in service, name


def test_every_secret_is_a_file_of_the_folder_and_made_by_the_script(model: dict[str, Any], tmp_path: Path) -> None:
    made = _made_secrets(tmp_path)
    for name, secret in model["secrets"].items():
        assert Path(secret["file"]) == PROJECT / ".icache-compose" / "secrets" / name
        assert name in made
    assert set(made) == set(model["secrets"])
    assert set(SECRETS) <= set(made), "`icache` with ICACHE_HOME=.icache-compose reads the same names"


def test_the_folder_of_secrets_can_be_chosen(compose_file: Path, services: Services) -> None:
    text = compose_file.read_text()
    assert text.count("{file:") == text.count("${ICACHE_SECRETS_DIR:-./.icache-compose/secrets}/")


def test_a_service_asks_for_each_secret_that_it_reads(services: Services) -> None:
    for name, service in services.items():
        given = {secret["target"] for secret in service.get("secrets", [])}
        read = set(re.findall(r"/run/secrets/\w+", f"{service.get('environment')} {service.get('command')}"))
        assert read <= given, name


def test_holds_no_secret(services: Services) -> None:
    """What is named like a secret says where it lies."""
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|FERNET|SQL_ALCHEMY|REDIS_URL", variable):
                assert variable.endswith(("_FILE", "_CMD")), (name, variable)
                assert re.fullmatch(r"(cat )?/(run/secrets|opt/airflow)/[\w.]+", value), (name, variable)


def test_every_setting_in_it_is_documented(compose_file: Path) -> None:
    documented = set(re.findall(r"^### `(ICACHE_\w+)`", (PROJECT / "docs" / "settings.md").read_text(), re.MULTILINE))
    for name in set(re.findall(r"ICACHE_[A-Z0-9_]+", compose_file.read_text())):
        assert name in documented or name.removesuffix("_FILE") in documented, name


def test_making_secrets_again_changes_none(tmp_path: Path) -> None:
    first = _made_secrets(tmp_path)
    assert _made_secrets(tmp_path) == first
    assert len(set(first.values())) == len(first)


def test_secrets_are_closed_by_their_folder(tmp_path: Path) -> None:
    _made_secrets(tmp_path)
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.glob("[a-z]*")} == {0o644}
    assert (folder / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("name", ["redis_url", "airflow_database_url"])
def test_urls_hold_the_password_as_it_is(name: str, tmp_path: Path) -> None:
    made = _made_secrets(tmp_path)
    password = made["redis_password" if name == "redis_url" else "postgres_password"]
    assert re.fullmatch(r"[\w-]+", password), "it needs no escaping in a URL"
    assert f":{password}@" in made[name]


def _made_secrets(folder: Path) -> dict[str, str]:
    script = PROJECT / "docker" / "make-secrets.sh"
    subprocess.run([str(script), str(folder / "secrets")], check=True, capture_output=True, timeout=30)
    return {path.name: path.read_text() for path in (folder / "secrets").glob("[a-z]*")}


def _published(service: dict[str, Any]) -> set[int]:
    return {int(port["published"]) for port in service.get("ports", [])}


def _exposed(service: dict[str, Any]) -> set[int]:
    return {int(port) for port in service.get("expose", [])}
