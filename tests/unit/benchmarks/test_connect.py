"""Finding sinks in folders of plugins, choosing among them, and what Kafka Connect says of its tasks."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.connect.plugins import SERVICE, Plugin, find_plugins, service_names
from benchmarks.connect.sinks import CLASS, KNOWN, Sink, choose_sinks, read_properties
from benchmarks.connect.worker import TaskState, root_cause, worst_state
from instrument_cache.errors import InstrumentCacheError
from local_stack.instance import PROJECT

REDIS = "com.redis.kafka.connect.RedisSinkConnector"
OTHER = "org.example.OtherSinkConnector"


def jar(path: Path, *classes: str, service: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in classes:
            archive.writestr(name.replace(".", "/") + ".class", b"")
        if service:
            archive.writestr(SERVICE, service)
    return path


def test_a_folder_of_jars_is_one_plugin(tmp_path: Path) -> None:
    jar(tmp_path / "redis.jar", REDIS, "com.redis.kafka.connect.RedisSinkTask")
    jar(tmp_path / "lettuce.jar", "io.lettuce.core.RedisClient")
    assert find_plugins(tmp_path) == [Plugin(tmp_path, (REDIS,))]


def test_a_folder_of_plugins_has_one_in_each_folder_and_archives_keep_their_jars_in_lib(tmp_path: Path) -> None:
    jar(tmp_path / "one" / "lib" / "redis.jar", REDIS)
    jar(tmp_path / "two" / "other.jar", OTHER)
    (tmp_path / "doc").mkdir()
    assert find_plugins(tmp_path) == [Plugin(tmp_path / "one", (REDIS,)), Plugin(tmp_path / "two", (OTHER,))]


def test_a_sink_is_found_by_its_service_file_or_its_name_and_kafkas_own_are_left_out(tmp_path: Path) -> None:
    kafkas = ("org.apache.kafka.connect.sink.SinkConnector", "org.apache.kafka.connect.tools.MockSinkConnector")
    parts = (
        "org.example.AbstractSinkConnector",
        "org.example.OtherSinkConnector$Inner",
        "org.example.SinkConnectorConfig",
    )
    jar(tmp_path / "a.jar", OTHER, *kafkas, *parts, service="org.example.Strange # by another name\n\n# none\n")
    assert find_plugins(tmp_path)[0].sinks == (OTHER, "org.example.Strange")
    assert service_names("# c\n a.B # d\n\n") == ["a.B"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none", "is no folder"),
        (lambda folder: folder, "holds no jar"),
        (lambda folder: (folder / "broken.jar").write_bytes(b"x") and folder, "broken.jar is no jar"),
    ],
)
def test_a_folder_without_a_plugin_is_told(tmp_path: Path, make: object, said: str) -> None:
    with pytest.raises(InstrumentCacheError, match=said):
        find_plugins(make(tmp_path))  # type: ignore[operator]


def test_every_known_sink_is_run_and_a_file_of_properties_goes_before() -> None:
    plugins = [Plugin(Path("a"), (OTHER, REDIS)), Plugin(Path("b"), (REDIS,))]
    (sink,) = choose_sinks(plugins, {"redis.type": "HASH"})
    assert sink == Sink(REDIS, {**KNOWN[REDIS], "redis.type": "HASH", CLASS: REDIS})
    assert choose_sinks(plugins, {CLASS: OTHER, "x": "1"}) == [Sink(OTHER, {CLASS: OTHER, "x": "1"})]


@pytest.mark.parametrize(
    ("sinks", "config", "said"),
    [
        ((), {}, "no sink was found"),
        ((OTHER,), {}, f"holds {OTHER}, and no sink that is known here .*--peer-config"),
        ((OTHER,), {CLASS: "org.example.Missing"}, f"org.example.Missing is not in a, which holds {OTHER}"),
    ],
)
def test_a_choice_that_cannot_be_made_says_what_was_found(
    sinks: tuple[str, ...], config: dict[str, str], said: str
) -> None:
    with pytest.raises(InstrumentCacheError, match=said):
        choose_sinks([Plugin(Path("a"), sinks)], config)


def test_only_the_places_of_redis_are_filled() -> None:
    sink = Sink(OTHER, {"hosts": "${redis.host}:${redis.port}", "redis.keyspace": "${topic}"})
    filled = sink.configured({"redis.host": "127.0.0.1", "redis.port": "1"})
    assert filled == {"hosts": "127.0.0.1:1", "redis.keyspace": "${topic}"}


def test_properties_are_read_with_comments_and_blanks(tmp_path: Path) -> None:
    file = tmp_path / "sink.properties"
    file.write_text("# a\n\n! b\nx = y=z \nempty=\n")
    assert read_properties(file) == {"x": "y=z", "empty": ""}


@pytest.mark.parametrize(
    ("line", "said"), [("words", "name=value"), ("topics=a", "remove the line"), ("=1", "no prop")]
)
def test_a_wrong_property_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "sink.properties"
    file.write_text(f"a=b\n{line}\n")
    with pytest.raises(InstrumentCacheError, match=rf"sink\.properties:2.*{said}"):
        read_properties(file)


def test_the_shipped_properties_name_a_known_sink() -> None:
    config = read_properties(PROJECT / "benchmarks" / "connect" / "redis-hash.properties")
    assert choose_sinks([Plugin(Path("a"), (REDIS,))], config)[0].properties["redis.type"] == "HASH"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"connector": {"state": "RUNNING"}, "tasks": [{"state": "RUNNING"}]}, TaskState("RUNNING")),
        ({"connector": {"state": "RUNNING"}, "tasks": []}, TaskState("UNASSIGNED")),
        (
            {"connector": {"state": "RUNNING"}, "tasks": [{"state": "RUNNING"}, {"state": "PAUSED"}]},
            TaskState("PAUSED"),
        ),
        (
            {
                "connector": {"state": "RUNNING"},
                "tasks": [{"state": "FAILED", "trace": "a.B: x\n\tat c\nCaused by: d.E: y"}],
            },
            TaskState("FAILED", "d.E: y"),
        ),
    ],
)
def test_the_worst_state_of_a_connector_is_its_state(status: dict[str, object], expected: TaskState) -> None:
    assert worst_state(status) == expected


def test_the_cause_of_a_trace_is_its_last() -> None:
    assert root_cause("") == ""
    assert root_cause("a.B: x\n\tat c") == "a.B: x"
