"""The arena: PostgreSQL, nodes, workers and callers as processes, with a line between any two that may fail.

    callers, workers --(client_line)--> node --(database_line)--> PostgreSQL
                          other nodes --(link_line)--> node

Most scenarios have one node, the engine. Every fault strikes here, and here is written down when the engine could not
be there for anybody.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.nodes import drain_node
from tests.chaos.checker import Span
from tests.chaos.node import ROOT, Node, python_path
from tests.chaos.plan import CLOCK_JUMP_S, Blow, Call, Fault, Weather, call_to_json
from tests.chaos.probe import Prober, tokens_of_others
from tests.chaos.proxy import Proxy
from tests.chaos.tables import end_backends, live_runs, owner_of
from tests.own_postgres import OwnPostgres, own_postgres, replica_of

from wirekit import EngineProcess, eventually  # isort: skip  the path to it was laid by `node`

#: Where there is one node; several have one each.
WORKERS: Final = 2
END_WITHIN_S: Final = 30.0
#: Until workers have streams, and until callers call; the play has not begun, so a busy machine may take its time.
READY_S: Final = 300.0
#: How long after a fault of a node a probe that waits may be answered, before it is said how long.
SETTLE_S: Final = 2.0


class Arena:
    """One scenario's processes. With `database` they use a server that is not ours, and the server is not struck.

    `before` is the root of another version's source tree: the engine begins as that one, on its schema.
    """

    def __init__(
        self,
        directory: Path,
        database: str | None = None,
        before: Path | None = None,
        nodes: int = 1,
        *,
        has_standby: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._sources = (before or ROOT) / "src"
        self._directory = directory
        self._dsn = database
        self._server: EmbeddedPostgres | None = None
        self._has_standby = has_standby
        self._primary: OwnPostgres | None = None
        self._standby: OwnPostgres | None = None
        self._stack = AsyncExitStack()
        self._clock = directory / "clock"
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0
        self._count = nodes
        self._nodes: list[Node] = []
        self._callers: list[subprocess.Popen[bytes]] = []
        self._prober: Prober | None = None
        self.killed: dict[str, float] = {}
        self.away: list[Span] = []
        self.cuts: list[Span] = []

    @property
    def dsn(self) -> str:
        """The database itself, past the line to it."""
        assert self._dsn is not None
        return self._dsn

    async def start(self) -> None:
        if self._has_standby:
            await self._start_servers()
            await self._migrate("all")
        elif self._dsn is None:
            self._server = await EmbeddedPostgres.start(self._directory / "postgres")
            self._dsn = self._server.dsn
            await self._migrate("all" if self._sources == ROOT / "src" else None)
        self._clock.write_text("0")
        for number in range(self._count):
            name = f"node {number}"
            standby = None if self._standby is None else self._standby.port
            self._nodes.append(Node(name, self._directory / name.replace(" ", "-"), self.dsn, self._clock, standby))
        await asyncio.gather(*(node.start(self._sources) for node in self._nodes))
        for number in range(max(WORKERS, self._count)):
            self._start_worker(self._nodes[number % self._count])
        await self._until_workers_listen()
        if self._count > 1:
            named = {"the workers' tenant": self._engine.token, **await tokens_of_others(self.dsn, self._nodes[0])}
            self._prober = Prober(self._nodes, named)
            self._prober.start()

    async def stop(self) -> None:
        if self._prober is not None:
            await self._prober.stop()
        for process in (*self._workers.values(), *self._callers):
            await _kill_group(process)
        await asyncio.gather(*(node.stop() for node in self._nodes))
        if self._server is not None:
            await self._server.stop()
        await self._stack.aclose()

    # Load -----------------------------------------------------------------------------------------------------------

    async def call(self, calls: Sequence[Call]) -> None:
        """Starts a process at each node that makes its share of these calls; returns when all begin with them."""
        journals = []
        for number, node in enumerate(self._nodes):
            journals.append(self._directory / f"calls-{number}.jsonl")
            # Not through a pipe: the proxies stand still while this process waits for a reader.
            planned = self._directory / f"planned-{number}.jsonl"
            share = calls[number :: self._count]
            planned.write_text("".join(json.dumps(call_to_json(call)) + "\n" for call in share))
            arguments = ("--calls", str(planned), "--journal", str(journals[-1]))
            self._callers.append(self._python(f"caller-{number}", node, "tests.chaos.caller", *arguments))

        async def have_begun() -> bool:
            assert all(caller.poll() in (None, 0) for caller in self._callers), f"a caller ended:\n{self.logs()}"
            return all(journal.exists() and journal.stat().st_size > 0 for journal in journals)

        await eventually(have_begun, what="callers call", within_s=READY_S)

    async def until_drained(self, within_s: float) -> None:
        """Until every run has ended and the callers have been told, or the time is over."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if all(caller.poll() is not None for caller in self._callers) and await live_runs(self.dsn) == 0:
                return
            await asyncio.sleep(0.25)

    def journals(self) -> tuple[list[Path], list[Path]]:
        """Those of callers and those of workers."""
        return list(self._directory.glob("calls-*.jsonl")), list(self._directory.glob("worker-*.jsonl"))

    def logs(self) -> str:
        return "\n".join(f"{path}:\n{path.read_text()[-1500:]}" for path in sorted(self._directory.rglob("*.log")))

    # Faults ---------------------------------------------------------------------------------------------------------

    async def strike(self, blow: Blow) -> str:
        """Returns when the fault is over, with what there is to say of it."""
        if self._count > 1:
            return await self._strike_nodes(blow)
        since = time.time()
        match blow.fault:
            case Fault.ENGINE_KILLED:
                await self._engine.kill()
                await self._engine.start()
            case Fault.ENGINE_STOPPED:
                await self._engine.stop()
                await self._engine.start()
            case Fault.ENGINE_PAUSED:
                self._engine.pause()
                await asyncio.sleep(blow.for_s)
                self._engine.resume()
            case Fault.WORKER_KILLED:
                await self._replace_worker()
                return ""
            case Fault.SERVER_KILLED:
                os.kill(self._own_server().pid, signal.SIGKILL)
                await self._until_server_answers()
            case Fault.SERVER_RESTARTED:
                await self._own_server().stop()
                await asyncio.sleep(blow.for_s)
                self._server = await EmbeddedPostgres.start(self._directory / "postgres")
            case Fault.BACKENDS_ENDED:
                await end_backends(self.dsn)
            case Fault.DATABASE_LINE:
                await _endure(blow, self._nodes[0].database_line)
            case Fault.WORKER_LINE:
                await _endure(blow, self._nodes[0].client_line)
                if blow.weather.cuts:
                    self.cuts.append(Span(since, time.time()))
                return ""
            case Fault.CLOCK_AHEAD:
                self._clock.write_text(str(CLOCK_JUMP_S))
                await asyncio.sleep(blow.for_s)
                self._clock.write_text("0")
            case Fault.FAILED_OVER:
                promoted_at = await self._fail_over(blow.for_s)
                await self._until_served()
                self.away.append(Span(since, time.time()))
                return f"the engine served {time.time() - promoted_at:.2f} s after the promotion"
            case Fault.ENGINE_UPGRADED:
                await self._upgrade()
            case _:
                raise AssertionError(f"{blow} takes several nodes")
        await self._until_served()
        self.away.append(Span(since, time.time()))
        return ""

    # Faults of nodes ------------------------------------------------------------------------------------------------

    async def _strike_nodes(self, blow: Blow) -> str:
        """Who is at a node that is killed or stopped comes to another one when it connects anew."""
        assert self._prober is not None
        owner = await self._owner()
        since = time.time()
        struck: tuple[str, ...] = (owner.name,)
        match blow.fault:
            case Fault.OWNER_KILLED:
                self._lead_away(owner)
                await owner.engine.kill()
                await asyncio.sleep(blow.for_s)
                await owner.engine.start()
                owner.client_line.lead_to(owner.port)
            case Fault.OWNER_FROZEN:
                owner.engine.pause()
                await asyncio.sleep(blow.for_s)
                owner.engine.resume()
            case Fault.OWNER_DRAINED:
                struck = ()
                await self._drain(owner)
                await asyncio.sleep(blow.for_s)
                await self._drain(owner, is_undone=True)
            case Fault.OWNER_DATABASE_LINE:
                await _endure(blow, owner.database_line)
            case Fault.NODES_ROLLED:
                struck = ()
                for node in self._nodes:
                    await self._roll(node)
            case Fault.LINKS:
                struck = ()
                await _endure(blow, *(node.link_line for node in self._nodes))
                self.cuts.append(Span(since, time.time()))
            case _:
                raise AssertionError(f"{blow} takes one node")
        if not blow.fault.is_planned:
            self.away.append(Span(since, time.time()))
        await self._until_ready()
        await asyncio.sleep(SETTLE_S)
        return f"of {owner.name}: {self._prober.told(since, without=struck)}"

    async def _owner(self) -> Node:
        """Who has the tenant that workers and callers use."""
        tenant_id = self._engine.client().tenant_id

        async def find() -> Node | None:
            address = await owner_of(self.dsn, tenant_id)
            return next((node for node in self._nodes if node.link_address == address), None)

        found = await eventually(find, what="somebody owns the tenant", within_s=60)
        assert found is not None
        return found

    def _lead_away(self, node: Node) -> None:
        other = self._nodes[(self._nodes.index(node) + 1) % self._count]
        node.client_line.lead_to(other.port)

    async def _roll(self, node: Node) -> None:
        self._lead_away(node)
        code = await node.engine.stop()
        assert code == 0, f"{node.name} ended with {code}:\n{node.engine.log()}"
        await node.engine.start()
        node.client_line.lead_to(node.port)
        await self._until_ready()

    async def _drain(self, node: Node, *, is_undone: bool = False) -> None:
        connection = await asyncpg.connect(self.dsn, timeout=10)
        try:
            node_id = await connection.fetchval(
                "select id::text from broadaxe.node where link_address = $1", node.link_address
            )
            await drain_node(connection, node_id, is_undone=is_undone)
        finally:
            await connection.close()

    async def _until_ready(self) -> None:
        """Until every node would take a call for any tenant."""
        async with httpx.AsyncClient(timeout=5) as http:

            async def are_ready() -> bool:
                for node in self._nodes:
                    with suppress(httpx.HTTPError):
                        if (await http.get(f"{node.engine.url}/api/ready")).status_code == 200:
                            continue
                    return False
                return True

            await eventually(are_ready, what="every node is ready", within_s=60)

    async def _upgrade(self) -> None:
        """As deployments do it: who connects from now on meets the new engine, which waits for the old one's leases."""
        self._sources = ROOT / "src"
        await self._migrate("pre")
        (node,) = self._nodes
        newer = node.newer_engine(self._directory / "newer", self._sources)
        await newer.start()
        older, node.engine = node.engine, newer
        node.client_line.lead_to(node.port)
        code = await older.stop()
        assert code == 0, f"the old engine ended with {code}:\n{older.log()}"
        await self._migrate("post")

    async def _migrate(self, phase: str | None) -> None:
        """With the code that the engine is to have. Versions before phases know none."""
        words = ["migrate", "--database-url", self.dsn, *(("--phase", phase) if phase else ())]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "broadaxe.cli.main", *words],
            env=os.environ | {"PYTHONPATH": python_path(self._sources)},
            capture_output=True,
            text=True,
            timeout=END_WITHIN_S * 4,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def _engine(self) -> EngineProcess:
        """That of the only node, or of the first."""
        return self._nodes[0].engine

    async def _start_servers(self) -> None:
        """A primary whose commits wait for its standby."""
        self._primary = await self._stack.enter_async_context(own_postgres(self._directory / "primary"))
        primary = await asyncpg.connect(self._primary.url())
        try:
            await primary.execute("create database broadaxe")
            self._dsn = self._primary.url("broadaxe")
            self._standby = await self._stack.enter_async_context(
                replica_of(self._primary, self._directory / "standby")
            )
            await primary.execute("alter system set synchronous_standby_names = '*'")
            await primary.execute("select pg_reload_conf()")

            async def is_synchronous() -> bool:
                return await primary.fetchval("select sync_state from pg_stat_replication") == "sync"

            await eventually(is_synchronous, what="commits wait for the standby", within_s=60)
        finally:
            await primary.close()

    async def _fail_over(self, after_s: float) -> float:
        """The primary is gone for good. Returns when the standby was promoted."""
        assert self._primary is not None
        assert self._standby is not None
        os.kill(self._primary.pid, signal.SIGKILL)
        await asyncio.sleep(after_s)
        self._dsn = self._standby.url("broadaxe")
        standby = await asyncpg.connect(self._dsn)
        try:
            assert await standby.fetchval("select pg_promote()")
        finally:
            await standby.close()
        return time.time()

    def _own_server(self) -> EmbeddedPostgres:
        assert self._server is not None, "the server is not ours to strike"
        return self._server

    async def _until_server_answers(self) -> None:
        async def answers() -> bool:
            return await live_runs(self.dsn) is not None

        await eventually(answers, what="PostgreSQL answers again", within_s=60)

    async def _until_served(self) -> None:
        """Until the engine answers a call that needs its tenant and its database."""

        async def serves() -> bool:
            try:
                async with self._nodes[0].rest() as rest:
                    await rest.workers()
                    return True
            except Exception:
                return False

        await eventually(serves, what="the engine serves again", within_s=60)

    # Processes ------------------------------------------------------------------------------------------------------

    def _start_worker(self, node: Node) -> None:
        name = f"w{self._started}"
        self._started += 1
        journal = self._directory / f"worker-{name}.jsonl"
        journal.touch()
        self._workers[name] = self._python(
            f"worker-{name}", node, "tests.chaos.worker", "--name", name, "--journal", str(journal)
        )

    async def _replace_worker(self) -> None:
        """Kills the oldest one; which tasks that hits is a matter of chance anyway."""
        name = next(iter(self._workers))
        await _kill_group(self._workers.pop(name))
        self.killed[name] = time.time()
        self._start_worker(self._nodes[0])

    async def _until_workers_listen(self) -> None:
        async with self._nodes[0].rest() as rest:

            async def listening() -> set[str]:
                for name, process in self._workers.items():
                    assert process.poll() is None, f"worker {name} ended:\n{self.logs()}"
                # An engine that has the machine to share may not answer at once: asked again, until the time is over.
                with suppress(httpx.TransportError):
                    return {row["name"] for row in await rest.workers() if row["status"] == "ACTIVE"}
                return set()

            await eventually(
                listening, until=lambda names: names >= self._workers.keys(), what="workers listen", within_s=READY_S
            )

    def _python(self, name: str, node: Node, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = node.engine.worker_environment("") | {
            "HATCHET_CLIENT_HOST_PORT": node.client_address,
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
            "PYTHONPATH": python_path(ROOT / "tests" / "wire" / "wirekit" / "swift", ROOT),
        }
        if module.endswith(".caller"):
            environment["HATCHET_CLIENT_TENACITY_MAX_ATTEMPTS"] = "0"
        with (self._directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The SDK reads .env files of the directory it is started in.
                cwd=self._directory,
                env=environment,
                start_new_session=True,
            )


async def _endure(blow: Blow, *lines: Proxy) -> None:
    for line in lines:
        line.become(blow.weather)
    await asyncio.sleep(blow.for_s)
    for line in lines:
        line.become(Weather.CALM)
        if blow.weather.cuts:
            line.reset()


async def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait, END_WITHIN_S)
