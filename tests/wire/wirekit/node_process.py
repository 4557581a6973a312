"""A node in several processes: `broadaxe serve --edges N`, whose parts tests may kill one by one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil

from broadaxe.storage import accounts, tokens
from wirekit.engine_process import START_WITHIN_S, EngineProcess

READY = "Broadaxe is ready"


class NodeProcess(EngineProcess):
    """What tests have of it is the process that looks after the parts."""

    def __init__(self, directory: Path, database_url: str, edges: int) -> None:
        super().__init__(directory, database_url)
        self._edges = edges

    async def start(self) -> None:
        assert self._database_url is not None
        address, url = f"127.0.0.1:{self._grpc_port}", f"http://127.0.0.1:{self._http_port}"
        connection = await asyncpg.connect(self._database_url)
        try:
            account, _ = await accounts.ensure_account(connection, "Admin", "admin@example.com", f"Axe-{uuid4()}")
            tenant = await accounts.ensure_tenant(connection, "Edges", "edges")
            await accounts.add_member(connection, tenant.id, account.id, accounts.Role.OWNER)
            issued = await tokens.create_token(connection, tenant.id, "test", 3600, url, address)
        finally:
            await connection.close()
        self.env = {
            "HATCHET_CLIENT_TOKEN": issued.token,
            "HATCHET_CLIENT_HOST_PORT": address,
            "HATCHET_CLIENT_SERVER_URL": url,
            "HATCHET_CLIENT_API_URL": url,
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
        }
        arguments = ["serve", "--database-url", self._database_url, "--edges", str(self._edges)]
        self._process = self._spawn(
            [*arguments, "--grpc-port", str(self._grpc_port), "--http-port", str(self._http_port)]
        )
        deadline = time.monotonic() + START_WITHIN_S
        while READY not in self.log():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the node did not start:\n{self.log()}")
            await asyncio.sleep(0.02)

    @property
    def port(self) -> int:
        return self._grpc_port

    def parts(self) -> dict[str, psutil.Process]:
        """Those that run, by name: `engine`, `edge-1` and so on."""
        assert self._process is not None
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie, which is one
                words = child.cmdline()
                if "broadaxe.cli.part" in words:
                    found[words[-1]] = child
        return found
