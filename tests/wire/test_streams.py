"""Durable streams on the bare wire: what a client does that publishes, reads, loses its connection and comes again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import grpc
import grpc.aio
import httpx
import pytest
from lean_client import LeanClient
from wirekit import EngineProcess

from broadaxe.rest.open_streams import NARROWED_MAX
from broadaxe.rpc._gen import streams_pb2 as pb
from tests.wire.test_connection import broadaxe, claims_of

PATIENCE_S = 20.0


class Reader:
    """One subscription, and where it stands."""

    def __init__(self, client: LeanClient, topic: str, cursor: str | None = None, namespace: str = "") -> None:
        self.cursor = cursor
        self.entries: list[pb.Entry] = []
        self._responses: AsyncIterator[pb.SubscribeResponse] = client.subscribe(topic, cursor, namespace=namespace)

    async def until(self, count: int) -> list[bytes]:
        while len(self.entries) < count:
            response = await asyncio.wait_for(anext(self._responses), PATIENCE_S)
            assert response.cursor == response.entries[-1].cursor
            self.cursor = response.cursor
            self.entries += response.entries
        return [entry.payload for entry in self.entries]

    async def hangup(self) -> pb.SubscribeResponse:
        response = await asyncio.wait_for(anext(self._responses), PATIENCE_S)
        assert response.hangup
        return response

    async def status(self) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(anext(self._responses), PATIENCE_S)
        return ended.value.code()


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


async def test_messages_come_in_order_before_and_after_a_reader(lean: LeanClient, key: str) -> None:
    for payload in numbers(1, 3):
        await lean.publish(key, payload)
    reader = Reader(lean, key)
    assert await reader.until(3) == numbers(1, 3)
    for payload in numbers(4, 6):
        await lean.publish(key, payload)
    await lean.publish(key, b"of another", namespace="team")
    assert await reader.until(6) == numbers(1, 6)
    assert await Reader(lean, key, namespace="team").until(1) == [b"of another"]
    stamps = [entry.created_at.ToNanoseconds() for entry in reader.entries]
    assert stamps == sorted(stamps) and stamps[0] > 1_600_000_000 * 10**9
    assert len({entry.cursor for entry in reader.entries}) == 6


async def test_a_reader_whose_connection_broke_goes_on_behind_its_cursor(
    engine: EngineProcess, lean: LeanClient, key: str
) -> None:
    for payload in numbers(1, 5):
        await lean.publish(key, payload)
    async with LeanClient(engine.address, engine.token) as leaving:
        reader = Reader(leaving, key)
        await reader.until(5)
        middle = reader.entries[2].cursor
    await lean.publish(key, b"6")
    assert await Reader(lean, key, reader.cursor).until(1) == [b"6"]
    assert await Reader(lean, key, middle).until(3) == numbers(4, 6)


async def test_bad_requests_name_the_field(lean: LeanClient, key: str) -> None:
    await lean.publish(key, b"x")
    reader = Reader(lean, key)
    await reader.until(1)
    for cursor, topic in (("nonsense", key), (reader.cursor, f"{key}-other")):
        assert await Reader(lean, topic, cursor).status() is grpc.StatusCode.INVALID_ARGUMENT
    assert await Reader(lean, "").status() is grpc.StatusCode.INVALID_ARGUMENT
    for call, field in (
        (lean.publish("", b"x"), "topic"),
        (lean.publish("t" * 256, b"x"), "topic"),
        (lean.publish(key, b"x", namespace="n" * 256), "namespace"),
        (lean.publish(key, b"x", producer_id="p", producer_seq=-1), "producer_seq"),
        (lean.publish(key, b"x", payload_ref=key), "payload_ref"),
        (lean.publish(key, bytes(4 * 1024 * 1024 - 50)), None),
    ):
        if field is None:
            # Almost too large for a message of gRPC; it comes by reference.
            await call
            continue
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field in str(refused.value.details())
    await reader.until(2)
    assert reader.entries[1].payload == b"" and reader.entries[1].payload_ref


async def test_large_messages_and_many_of_them_fit_what_clients_read(lean: LeanClient, key: str) -> None:
    payloads = [bytes([number]) * 1_500_000 for number in range(6)]
    for payload in payloads:
        await lean.publish(key, payload)
    assert await Reader(lean, key).until(6) == payloads


async def test_a_method_that_is_not_known_yet_is_unimplemented(engine: EngineProcess) -> None:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        metadata = (("authorization", f"bearer {engine.token}"),)
        for name in ("PublishBatch", "Reset", "Metadata"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(f"/v1.V1Streams/{name}")(b"", metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_nothing_is_lost_or_stored_twice_when_the_engine_is_killed_between_publishes(
    own_engine: EngineProcess, pool: asyncpg.Pool, key: str
) -> None:
    """A publisher that numbers its messages repeats whatever it heard no answer to; a reader comes with its cursor."""
    count = 150
    progress, acknowledged = asyncio.Condition(), 0

    async def publish() -> None:
        nonlocal acknowledged
        async with LeanClient(own_engine.address, own_engine.token) as client:
            for number in range(1, count + 1):
                while True:
                    try:
                        await client.publish(key, b"%d" % number, producer_id="p", producer_seq=number)
                        break
                    except grpc.aio.AioRpcError as error:
                        assert error.code() is grpc.StatusCode.UNAVAILABLE
                        await asyncio.sleep(0.01)
                async with progress:
                    acknowledged = number
                    progress.notify_all()

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        cursor: str | None = None
        async with LeanClient(own_engine.address, own_engine.token) as client:
            while len(seen) < count:
                try:
                    async for response in client.subscribe(key, cursor):
                        seen += [entry.payload for entry in response.entries]
                        cursor = response.cursor
                        if len(seen) >= count:
                            break
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
                    await asyncio.sleep(0.01)
        return seen

    async def kill() -> None:
        for at in (count // 3, 2 * count // 3):
            async with progress:
                # The default is what this turn of the loop waits for; mypy cannot type it.
                await progress.wait_for(lambda at=at: acknowledged >= at)  # type: ignore[misc]
            await own_engine.kill()
            await own_engine.start()

    async with asyncio.timeout(120):
        seen, _, _ = await asyncio.gather(read(), publish(), kill())
    assert seen == numbers(1, count)
    async with LeanClient(own_engine.address, own_engine.token) as client:
        await client.publish(key, b"again", producer_id="p", producer_seq=count)
        await client.publish(key, b"last", producer_id="p", producer_seq=count + 1)
        reader = Reader(client, key)
        assert await reader.until(count + 1) == [*seen, b"last"]
        # What is not kept any more is an error that no retry mends, and not a gap.
        await pool.execute("delete from broadaxe.stream_message where number = 2")
        first = reader.entries[0].cursor
        assert await Reader(client, key, first).status() is grpc.StatusCode.OUT_OF_RANGE
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {own_engine.token}"}) as http:
            streams = f"{own_engine.url}/api/v1/stable/tenants/{own_engine.client().tenant_id}/streams"
            gone = await http.get(f"{streams}/-/{key}", headers={"last-event-id": first})
        assert gone.status_code == 410 and gone.json()["code"] == "OUT_OF_RANGE"
        waiting = asyncio.ensure_future(reader.hangup())
        await own_engine.stop()
        # A stop hangs up, with where to go on.
        assert (await waiting).cursor == reader.cursor


async def test_tenants_do_not_see_each_others_topics(engine: EngineProcess, lean: LeanClient, key: str) -> None:
    here = ("--data-dir", str(engine.data_dir))
    await broadaxe("tenant", "create", key, *here)
    token = await broadaxe("token", "create", "--tenant", key, "--name", key, *here)
    await lean.publish(key, b"ours")
    async with LeanClient(engine.address, token) as other:
        await other.publish(key, b"theirs")
        reader = Reader(lean, key)
        assert await reader.until(1) == [b"ours"]
        assert await Reader(other, key).until(1) == [b"theirs"]
        # Behind it there is nothing of theirs: to this tenant that message is not there.
        assert await Reader(other, key, reader.cursor).status() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_revoked_token_loses_its_open_subscription(engine: EngineProcess, lean: LeanClient, key: str) -> None:
    here = ("--data-dir", str(engine.data_dir))
    token = await broadaxe("token", "create", "--name", key, *here)
    await lean.publish(key, b"x")
    async with LeanClient(engine.address, token) as leaked:
        reader = Reader(leaked, key)
        await reader.until(1)
        ended = asyncio.ensure_future(reader.status())
        await broadaxe("token", "revoke", str(claims_of(token)["token_id"]), *here)
        assert await ended is grpc.StatusCode.UNAUTHENTICATED


# Over HTTP ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def http(engine: EngineProcess) -> AsyncIterator[httpx.AsyncClient]:
    base = f"{engine.url}/api/v1/stable/tenants/{engine.client().tenant_id}/streams/"
    headers = {"authorization": f"Bearer {engine.token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
        yield client


async def events(answer: httpx.Response, count: int) -> list[dict[str, str]]:
    """The next events as a browser reads them."""
    seen: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = f"{event[name]}\n{value}" if name in event else value
            continue
        if "id" in event:
            seen.append(event)
        event = {}
        if len(seen) == count:
            break
    return seen


async def test_a_token_for_a_topic_reads_that_and_nothing_else(
    engine: EngineProcess, lean: LeanClient, http: httpx.AsyncClient, key: str
) -> None:
    here = ("--data-dir", str(engine.data_dir))
    token = await broadaxe(
        "token", "create", "--name", key, "--topic", f"{key}/eu", "--namespace", "team", *here
    )  # fmt: skip
    await lean.publish(f"{key}/eu", b"for everybody", namespace="team")
    await lean.publish(f"{key}/eu", b"not for everybody")
    headers = {"authorization": f"Bearer {token}"}
    async with asyncio.timeout(PATIENCE_S), http.stream("GET", f"team/{key}/eu", headers=headers) as answer:
        assert [event["data"] for event in await events(answer, 1)] == ["for everybody"]
    for beside in (f"-/{key}/eu", f"team/{key}", "topics", "payloads?ref=x"):
        refused = await http.get(beside, headers=headers)
        assert refused.status_code == 401, beside
        assert f"{key}/eu" in refused.json()["errors"][0]["description"]
    assert (await http.post(f"team/{key}/eu", content=b"x", headers=headers)).status_code == 401
    many = httpx.AsyncClient(base_url=http.base_url, limits=httpx.Limits(max_connections=None), timeout=30)
    async with many, contextlib.AsyncExitStack() as open_streams:
        for _ in range(NARROWED_MAX):
            stream = many.stream("GET", f"team/{key}/eu", headers=headers)
            assert (await open_streams.enter_async_context(stream)).status_code == 200
        one_more = await many.get(f"team/{key}/eu", headers=headers)
        assert one_more.status_code == 429
        async with http.stream("GET", f"team/{key}/eu") as others:
            assert others.status_code == 200
    async with LeanClient(engine.address, token) as narrowed:
        assert await Reader(narrowed, f"{key}/eu", namespace="team").status() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as refused_call:
            await narrowed.publish(f"{key}/eu", b"x", namespace="team")
        assert refused_call.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_browser_reads_a_topic_and_goes_on_after_a_reload(
    lean: LeanClient, http: httpx.AsyncClient, key: str
) -> None:
    await lean.publish(key, b"first\nline")
    await lean.publish(key, "two — ünï".encode())
    async with asyncio.timeout(PATIENCE_S), http.stream("GET", f"-/{key}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = await events(answer, 2)
    assert [event["data"] for event in seen] == ["first\nline", "two — ünï"]
    published = (await http.post(f"-/{key}", content=b"\x00\xff")).json()
    assert published["number"] == 3
    stored = (await http.post("payloads", content=bytes(7_000_000))).json()["ref"]
    await http.post(f"-/{key}", params={"payloadRef": stored})
    assert (await http.get("payloads", params={"ref": stored})).content == bytes(7_000_000)
    last = seen[-1]["id"]
    for where in ({"headers": {"last-event-id": last}}, {"params": {"cursor": last}}):
        async with asyncio.timeout(PATIENCE_S), http.stream("GET", f"-/{key}", **where) as answer:  # type: ignore[arg-type]
            seen = await events(answer, 2)
        assert [(event["event"], event["data"]) for event in seen] == [("binary", "AP8="), ("reference", stored)]
    assert seen[0]["id"] == published["cursor"]


async def test_topics_are_listed_with_what_is_kept_of_them(lean: LeanClient, http: httpx.AsyncClient, key: str) -> None:
    for number in range(3):
        await lean.publish(f"{key}/b", b"%d" % number)
    await lean.publish(f"{key}/a", b"x", namespace="team")
    listed = (await http.get("topics", params={"search": key})).json()
    assert [(row["namespace"], row["topic"], row["messageCount"]) for row in listed["rows"]] == [
        ("", f"{key}/b", 3),
        ("team", f"{key}/a", 1),
    ]
    assert listed["retentionHours"] == 168 and listed["pagination"]["num_pages"] == 1
    page = (await http.get("topics", params={"search": key, "limit": 1})).json()
    behind = {"search": key, "limit": 1, "cursor": page["pagination"]["next_cursor"]}
    assert [row["topic"] for row in (await http.get("topics", params=behind)).json()["rows"]] == [f"{key}/a"]
    # Readers without a cursor begin behind the latest message, once that is said.
    assert (await http.put(f"-/{key}/b", json={})).status_code == 204
    await http.post(f"-/{key}/b", content="new")
    async with asyncio.timeout(PATIENCE_S), http.stream("GET", f"-/{key}/b") as answer:
        assert [event["data"] for event in await events(answer, 1)] == ["new"]


async def test_bad_requests_over_http_name_the_field(lean: LeanClient, http: httpx.AsyncClient, key: str) -> None:
    await lean.publish(key, b"x")
    for answer, status, field in (
        (await http.get(f"-/{key}", params={"cursor": "nonsense"}), 400, "cursor"),
        (await http.post(f"-/{key}", params={"producerId": "p"}), 400, "producerSeq"),
        (await http.post(f"-/{key}", params={"payloadRef": "nonsense"}), 400, "payload_ref"),
        (await http.post(f"-/{key}", content=bytes(4 * 1024 * 1024 + 1)), 400, "payload"),
        (await http.post(f"-/{'t' * 256}", content=b"x"), 400, "topic"),
        (await http.get("payloads", params={"ref": "nonsense"}), 404, "ref"),
        (await http.put(f"-/{key}-unknown", json={}), 404, "topic"),
        (await http.put("retention", json={"retentionHours": 0}), 400, "retentionHours"),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
