"""How long tenants pause: somebody asks each of them for something small by way of each node, again and again.

What is asked for has to be committed by the tenant's owner. Who is refused or loses the connection asks again at once,
as a program behind a load balancer would, and goes on waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
import grpc

from broadaxe.storage import tokens
from tests.chaos.node import Node
from tests.storage.ground import make_tenant

from lean_client import LeanClient  # isort: skip  the path to it was laid by `node`

#: Beside the tenant that workers and callers use.
TENANTS: Final = 3
ASK_EVERY_S: Final = 0.1
ASK_AGAIN_S: Final = 0.02
ANSWER_S: Final = 10.0
TOKEN_LIFE_S: Final = 3600
#: How long it may take until a fault has struck: who is answered before that was not hit.
STRIKES_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Answered:
    """Seconds since the Unix epoch."""

    asked_at: float
    answered_at: float


class Prober:
    """Named are the tenants' tokens."""

    def __init__(self, nodes: Sequence[Node], named: Mapping[str, str]) -> None:
        self._nodes = nodes
        self._named = named
        self._asking: list[asyncio.Task[None]] = []
        self._open: dict[tuple[str, str], float] = {}
        self._answered: defaultdict[tuple[str, str], list[Answered]] = defaultdict(list)

    def start(self) -> None:
        self._asking = [
            asyncio.create_task(self._ask_on(tenant, token, node))
            for tenant, token in self._named.items()
            for node in self._nodes
        ]

    async def stop(self) -> None:
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _ask_on(self, tenant: str, token: str, node: Node) -> None:
        async with LeanClient(node.client_address, token) as client:
            while True:
                asked_at = self._open[tenant, node.name] = time.time()
                while True:
                    with suppress(grpc.aio.AioRpcError, TimeoutError):
                        async with asyncio.timeout(ANSWER_S):
                            await client.push_event("chaos:probe", {})
                        break
                    await asyncio.sleep(ASK_AGAIN_S)
                del self._open[tenant, node.name]
                self._answered[tenant, node.name].append(Answered(asked_at, time.time()))
                await asyncio.sleep(ASK_EVERY_S)

    def told(self, since: float, without: Collection[str] = ()) -> str:
        """Of each tenant after how long it answered at all nodes but these, and how long anybody had to wait."""
        said = []
        for tenant in self._named:
            again_s, longest_s, is_waiting = 0.0, 0.0, False
            for node in self._nodes:
                if node.name in without:
                    continue
                is_waiting |= self._open.get((tenant, node.name), since) < since
                after = [each for each in self._answered[tenant, node.name] if each.answered_at >= since + STRIKES_S]
                if after:
                    again_s = max(again_s, after[0].answered_at - since)
                    longest_s = max(longest_s, *(each.answered_at - each.asked_at for each in after))
            waits = ", and somebody waits still" if is_waiting else ""
            said.append(f"{tenant} answered after {again_s:.2f} s, paused {1e3 * longest_s:.0f} ms at most{waits}")
        return "; ".join(said)


async def tokens_of_others(dsn: str, first: Node) -> dict[str, str]:
    """Tokens of further tenants, by the name of each."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
    try:
        found = {}
        for number in range(TENANTS):
            issued = await tokens.create_token(
                pool, await make_tenant(pool), "probe", TOKEN_LIFE_S, first.engine.url, first.engine.address
            )
            found[f"tenant {number}"] = issued.token
        return found
    finally:
        await pool.close()
