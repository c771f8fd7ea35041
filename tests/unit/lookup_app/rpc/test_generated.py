"""The Python code of the service is that of its .proto."""

from __future__ import annotations

from pathlib import Path

import pytest
from grpc_tools import protoc

from local_stack.instance import PROJECT

SOURCE = "lookup_app/rpc/lookup.proto"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proto")
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    assert protoc.main(["protoc", f"-I{PROJECT}", *outputs, SOURCE]) == 0
    return folder


@pytest.mark.parametrize("name", ["lookup_pb2.py", "lookup_pb2.pyi", "lookup_pb2_grpc.py"])
def test_it_is_up_to_date(made: Path, name: str) -> None:
    committed = PROJECT / "lookup_app" / "rpc" / name
    assert committed.read_text() == (made / "lookup_app" / "rpc" / name).read_text(), "run `make proto`"
