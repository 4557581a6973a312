"""What can be asked of a tenant: frozen commands by subject, and the replies they get.

Edges translate a wire message into one of these; `tenant.py` decides. A command carries everything the decision needs
except the time and fresh ids, which are arguments of `Tenant.apply`. All ids are canonical lower-case UUID text, all
payloads JSON text that the edge has already checked.

Every command states what is true of it, none by default:

- `is_repeatable`: deciding it again, should nobody know whether it was committed, comes to the same as once;
- `chars`: characters of the payloads it brings;
- `needs`: what it names and has to be in memory before it is decided (`needs.py`).

Each module holds the commands of one subject and is imported by its own name; here are the sums of them all, `Command`
and `Reply`.
"""

from __future__ import annotations

from broadaxe.core.commands.alerts import DeleteAlertRule, NoteAlertFacts, PutAlertRule
from broadaxe.core.commands.asked import Asked
from broadaxe.core.commands.attempts import (
    Accepted,
    FailDelivery,
    RefreshTimeout,
    RefuseDelivery,
    ReleaseSlot,
    ReportAttempt,
    ReportAttempts,
)
from broadaxe.core.commands.crons import BackfillCron, Backfilled, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EntryRef,
    EvictInvocation,
    FindPlace,
    Place,
    RegisterSignal,
    ReportWaiting,
    ResumeInvocations,
    SpawnChildren,
)
from broadaxe.core.commands.events import PushedEvent, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.outbox import RefusedRequest, TakeOutbox
from broadaxe.core.commands.quotas import QuotaState, SetQuotas, ShowQuotas
from broadaxe.core.commands.ratelimits import DeleteRateLimit, ForgetRateLimits, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.topics import PublishedMessage, PublishMessages, ResetTopic
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workers import (
    CloseDurableStream,
    CloseStream,
    Heartbeat,
    OpenDurableStream,
    OpenStream,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import (
    DeleteWorkflow,
    PauseWorkflow,
    PutWorkflow,
    PutWorkflowReply,
    UnpauseWorkflow,
)
from broadaxe.errors import IdempotencyCollision

Command = (
    PutWorkflow
    | DeleteWorkflow
    | PauseWorkflow
    | UnpauseWorkflow
    | RegisterWorker
    | OpenStream
    | CloseStream
    | OpenDurableStream
    | CloseDurableStream
    | Heartbeat
    | UnregisterWorker
    | PutWorkerLabels
    | PauseWorker
    | TriggerRuns
    | PushEvents
    | PublishMessages
    | ResetTopic
    | CreateFilter
    | ChangeFilter
    | DeleteFilter
    | TakeOutbox
    | ReportAttempt
    | ReportAttempts
    | RefreshTimeout
    | ReleaseSlot
    | CancelTasks
    | ReplayTasks
    | FailDelivery
    | RefuseDelivery
    | PutRateLimit
    | DeleteRateLimit
    | ForgetRateLimits
    | PauseRateLimit
    | SetQuotas
    | ShowQuotas
    | PutAlertRule
    | DeleteAlertRule
    | NoteAlertFacts
    | CreateCron
    | ChangeCron
    | DeleteCron
    | RunCron
    | BackfillCron
    | ScheduleRuns
    | MoveSchedules
    | DeleteSchedules
    | RunSchedule
    | BeginMemo
    | CompleteMemo
    | SpawnChildren
    | BeginWait
    | EvictInvocation
    | ReportWaiting
    | FindPlace
    | ResumeInvocations
    | RegisterSignal
    | RestoreTask
    | BranchTask
    | Asked
)
Reply = (
    None
    | bool
    | str
    | int
    | tuple[str, ...]
    | tuple[PushedEvent, ...]
    | tuple[PublishedMessage, ...]
    | tuple[RefusedRequest, ...]
    | tuple[QuotaState, ...]
    | PutWorkflowReply
    | Accepted
    | IdempotencyCollision
    | Scheduled
    | Backfilled
    | EntryRef
    | Place
)
