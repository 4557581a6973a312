from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PublishRequest(_message.Message):
    __slots__ = ("namespace", "topic", "payload", "producer_id", "producer_seq", "payload_ref")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_REF_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    topic: str
    payload: bytes
    producer_id: str
    producer_seq: int
    payload_ref: str
    def __init__(self, namespace: _Optional[str] = ..., topic: _Optional[str] = ..., payload: _Optional[bytes] = ..., producer_id: _Optional[str] = ..., producer_seq: _Optional[int] = ..., payload_ref: _Optional[str] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("namespace", "topic", "cursor")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    topic: str
    cursor: str
    def __init__(self, namespace: _Optional[str] = ..., topic: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("entries", "hangup", "cursor")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HANGUP_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    hangup: bool
    cursor: str
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., hangup: bool = ..., cursor: _Optional[str] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("payload", "cursor", "created_at", "payload_ref")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_REF_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    cursor: str
    created_at: _timestamp_pb2.Timestamp
    payload_ref: str
    def __init__(self, payload: _Optional[bytes] = ..., cursor: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., payload_ref: _Optional[str] = ...) -> None: ...
