from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRequest(_message.Message):
    __slots__ = ("dataset", "id", "by")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    id: str
    by: str
    def __init__(self, dataset: _Optional[str] = ..., id: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("dataset", "version", "json", "stale_s")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    STALE_S_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    version: int
    json: bytes
    stale_s: float
    def __init__(self, dataset: _Optional[str] = ..., version: _Optional[int] = ..., json: _Optional[bytes] = ..., stale_s: _Optional[float] = ...) -> None: ...

class BatchGetRequest(_message.Message):
    __slots__ = ("dataset", "ids", "by")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    by: str
    def __init__(self, dataset: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., by: _Optional[str] = ...) -> None: ...

class BatchGetResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("id", "instrument", "problem")
    ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    id: str
    instrument: Instrument
    problem: Problem
    def __init__(self, id: _Optional[str] = ..., instrument: _Optional[_Union[Instrument, _Mapping]] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("type", "status", "detail", "json")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    type: str
    status: int
    detail: str
    json: bytes
    def __init__(self, type: _Optional[str] = ..., status: _Optional[int] = ..., detail: _Optional[str] = ..., json: _Optional[bytes] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("dataset", "ids", "resume")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    resume: str
    def __init__(self, dataset: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., resume: _Optional[str] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("kind", "cursor", "id", "version", "json", "detail")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[WatchEvent.Kind]
        HELLO: _ClassVar[WatchEvent.Kind]
        PUT: _ClassVar[WatchEvent.Kind]
        DELETE: _ClassVar[WatchEvent.Kind]
        RESET: _ClassVar[WatchEvent.Kind]
        HEARTBEAT: _ClassVar[WatchEvent.Kind]
        EPOCH: _ClassVar[WatchEvent.Kind]
        RESTORED: _ClassVar[WatchEvent.Kind]
    KIND_UNSPECIFIED: WatchEvent.Kind
    HELLO: WatchEvent.Kind
    PUT: WatchEvent.Kind
    DELETE: WatchEvent.Kind
    RESET: WatchEvent.Kind
    HEARTBEAT: WatchEvent.Kind
    EPOCH: WatchEvent.Kind
    RESTORED: WatchEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: WatchEvent.Kind
    cursor: str
    id: str
    version: int
    json: bytes
    detail: str
    def __init__(self, kind: _Optional[_Union[WatchEvent.Kind, str]] = ..., cursor: _Optional[str] = ..., id: _Optional[str] = ..., version: _Optional[int] = ..., json: _Optional[bytes] = ..., detail: _Optional[str] = ...) -> None: ...
