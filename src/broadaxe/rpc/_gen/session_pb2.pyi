from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_STARTED: _ClassVar[Outcome]
    OUTCOME_COMPLETED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
OUTCOME_STARTED: Outcome
OUTCOME_COMPLETED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_CANCELLED: Outcome

class WorkerFrame(_message.Message):
    __slots__ = ("hello", "chunks", "logs", "durable_requests", "reports", "heartbeat", "goodbye", "triggers", "awaited_runs")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    AWAITED_RUNS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    logs: _containers.RepeatedCompositeFieldContainer[LogLine]
    durable_requests: _containers.RepeatedScalarFieldContainer[bytes]
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    heartbeat: bool
    goodbye: bool
    triggers: _containers.RepeatedCompositeFieldContainer[Trigger]
    awaited_runs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., durable_requests: _Optional[_Iterable[bytes]] = ..., reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ..., heartbeat: bool = ..., goodbye: bool = ..., triggers: _Optional[_Iterable[_Union[Trigger, _Mapping]]] = ..., awaited_runs: _Optional[_Iterable[str]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "worker_id", "registration", "workflows")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    worker_id: str
    registration: bytes
    workflows: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, protocol: _Optional[int] = ..., worker_id: _Optional[str] = ..., registration: _Optional[bytes] = ..., workflows: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("sequence", "task_run_external_id", "retry_count", "outcome", "started_at_us", "ended_at_us", "payload", "should_not_retry", "retry_after_ms", "batch_id")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_RUN_EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_US_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SHOULD_NOT_RETRY_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    task_run_external_id: str
    retry_count: int
    outcome: Outcome
    started_at_us: int
    ended_at_us: int
    payload: bytes
    should_not_retry: bool
    retry_after_ms: int
    batch_id: str
    def __init__(self, sequence: _Optional[int] = ..., task_run_external_id: _Optional[str] = ..., retry_count: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., started_at_us: _Optional[int] = ..., ended_at_us: _Optional[int] = ..., payload: _Optional[bytes] = ..., should_not_retry: bool = ..., retry_after_ms: _Optional[int] = ..., batch_id: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("task_run_external_id", "index", "data")
    TASK_RUN_EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    task_run_external_id: str
    index: int
    data: bytes
    def __init__(self, task_run_external_id: _Optional[str] = ..., index: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("task_run_external_id", "retry_count", "level", "message", "at_us")
    TASK_RUN_EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    task_run_external_id: str
    retry_count: int
    level: str
    message: str
    at_us: int
    def __init__(self, task_run_external_id: _Optional[str] = ..., retry_count: _Optional[int] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("number", "one", "many")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ONE_FIELD_NUMBER: _ClassVar[int]
    MANY_FIELD_NUMBER: _ClassVar[int]
    number: int
    one: bytes
    many: bytes
    def __init__(self, number: _Optional[int] = ..., one: _Optional[bytes] = ..., many: _Optional[bytes] = ...) -> None: ...

class EngineFrame(_message.Message):
    __slots__ = ("welcome", "assignments", "committed", "refusals", "durable_answers", "triggered", "finished_runs")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_RUNS_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignments: _containers.RepeatedScalarFieldContainer[bytes]
    committed: int
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    durable_answers: _containers.RepeatedScalarFieldContainer[bytes]
    triggered: _containers.RepeatedCompositeFieldContainer[Triggered]
    finished_runs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignments: _Optional[_Iterable[bytes]] = ..., committed: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., durable_answers: _Optional[_Iterable[bytes]] = ..., triggered: _Optional[_Iterable[_Union[Triggered, _Mapping]]] = ..., finished_runs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Triggered(_message.Message):
    __slots__ = ("number", "run_ids", "code", "message", "status_details")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAILS_FIELD_NUMBER: _ClassVar[int]
    number: int
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    code: int
    message: str
    status_details: bytes
    def __init__(self, number: _Optional[int] = ..., run_ids: _Optional[_Iterable[str]] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., status_details: _Optional[bytes] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "tenant_id", "worker_id", "engine_version", "heartbeat_interval_ms", "reports_max", "frame_bytes_max")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_MAX_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    tenant_id: str
    worker_id: str
    engine_version: str
    heartbeat_interval_ms: int
    reports_max: int
    frame_bytes_max: int
    def __init__(self, protocol: _Optional[int] = ..., tenant_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., engine_version: _Optional[str] = ..., heartbeat_interval_ms: _Optional[int] = ..., reports_max: _Optional[int] = ..., frame_bytes_max: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("sequence", "message")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    message: str
    def __init__(self, sequence: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
