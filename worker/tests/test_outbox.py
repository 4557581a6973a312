"""Reports are kept until they are committed, and told in their order; nothing else outlives a session."""

from __future__ import annotations

import threading
import time

from broadaxe_worker import outbox as rules
from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.outbox import Outbox


def report(task_id: str, payload: bytes = b"") -> pb.Report:
    return pb.Report(task_run_external_id=task_id, outcome=pb.OUTCOME_COMPLETED, payload=payload)


def taken(outbox: Outbox, session: int, reports_max: int = 100, bytes_max: int = 1 << 20) -> pb.WorkerFrame | None:
    return outbox.take(session, time.monotonic(), reports_max, bytes_max)


def told(frame: pb.WorkerFrame | None) -> list[tuple[int, str]]:
    assert frame is not None
    return [(each.sequence, each.task_run_external_id) for each in frame.reports]


def test_what_is_not_acknowledged_is_sent_again_before_what_is_new() -> None:
    outbox = Outbox()
    first = outbox.begin()
    outbox.report([report("a"), report("b"), report("c")])
    assert told(taken(outbox, first, reports_max=2)) == [(1, "a"), (2, "b")]
    outbox.committed(1)
    outbox.report([report("d")])
    second = outbox.begin()
    assert told(taken(outbox, second)) == [(2, "b"), (3, "c"), (4, "d")]
    outbox.committed(4)
    assert outbox.untold() == [] and told(taken(outbox, outbox.begin())) == []


def test_a_session_that_was_cut_takes_nothing_any_more() -> None:
    """grpc may still ask the old one for its next frame; what it took would be lost."""
    outbox = Outbox()
    first = outbox.begin()
    outbox.report([report("a")])
    outbox.cut()
    assert taken(outbox, first) is None
    assert told(taken(outbox, outbox.begin())) == [(1, "a")]


def test_a_cut_forgets_what_nobody_waits_for() -> None:
    outbox = Outbox()
    outbox.begin()
    outbox.chunk(pb.Chunk(index=1))
    outbox.durable(b"asked")
    outbox.log(pb.LogLine(message="kept"))
    outbox.cut()
    frame = taken(outbox, outbox.begin())
    assert frame is not None and not frame.chunks and not frame.durable_requests
    assert [line.message for line in frame.logs] == ["kept"]


def test_a_report_does_not_overtake_what_its_task_said_before() -> None:
    outbox = Outbox()
    session = outbox.begin()
    outbox.chunk(pb.Chunk(data=b"x" * 60))
    outbox.chunk(pb.Chunk(data=b"y" * 60))
    outbox.report([report("a")])
    frame = taken(outbox, session, bytes_max=50)
    assert frame is not None and len(frame.chunks) == 1 and not frame.reports
    frame = taken(outbox, session, bytes_max=500)
    assert frame is not None and len(frame.chunks) == 1 and told(frame) == [(1, "a")]


def test_a_frame_has_a_bound_but_takes_one_report_of_any_size() -> None:
    outbox = Outbox()
    session = outbox.begin()
    outbox.report([report("a", b"x" * 300), report("b", b"x" * 300), report("c")])
    assert told(taken(outbox, session, bytes_max=200)) == [(1, "a")]
    assert told(taken(outbox, session, bytes_max=400)) == [(2, "b"), (3, "c")]


def test_goodbye_comes_after_everything_else() -> None:
    outbox = Outbox()
    session = outbox.begin()
    outbox.report([report("a"), report("b")])
    outbox.goodbye()
    frame = taken(outbox, session, reports_max=1)
    assert frame is not None and not frame.goodbye
    frame = taken(outbox, session)
    assert frame is not None and frame.goodbye and told(frame) == [(2, "b")]


def test_too_many_lines_are_dropped_and_counted() -> None:
    outbox = Outbox()
    for _ in range(rules.LOGS_MAX + 3):
        outbox.log(pb.LogLine(message="x"))
    assert outbox.take_lost_logs() == 3
    assert outbox.take_lost_logs() == 0


def test_a_task_waits_while_too_many_chunks_do() -> None:
    outbox = Outbox()
    session = outbox.begin()
    for number in range(rules.CHUNKS_MAX):
        outbox.chunk(pb.Chunk(index=number))
    assert not outbox.has_room_for_chunk()
    thread = threading.Thread(target=outbox.chunk, args=(pb.Chunk(index=-1),))
    thread.start()
    first, second = taken(outbox, session), None
    thread.join(10)
    second = taken(outbox, session)
    assert first is not None and second is not None and not thread.is_alive()
    assert [chunk.index for chunk in (*first.chunks, *second.chunks)][-1] == -1


def test_waiting_until_told_ends_with_the_last_commit() -> None:
    outbox = Outbox()
    session = outbox.begin()
    outbox.report([report("a")])
    assert not outbox.wait_until_told(0)
    taken(outbox, session)
    thread = threading.Thread(target=outbox.committed, args=(1,))
    thread.start()
    assert outbox.wait_until_told(10)
    thread.join(10)
