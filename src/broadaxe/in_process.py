"""An engine inside the program that uses it: the same engine, on the program's own event loop.

    async with broadaxe.Engine(data_dir="data") as engine:
        hatchet = Hatchet(config=ClientConfig(token=engine.token, ...))

Owns what `broadaxe dev` does around an engine, without a command line: settings from arguments and `BROADAXE_*`
variables, one engine per data directory, the development tenant and its token. Refuses to touch signals, to choose the
event loop, and to change how the program logs. What the engine consists of is `broadaxe.app`'s business.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from broadaxe import logs
from broadaxe.config import Settings, load
from broadaxe.data_dir_lock import only_engine, state_dir
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from broadaxe.app import App
    from broadaxe.engine.clock import Clock

__all__ = ["Engine"]

#: Settings that mean something to a whole process, or to several.
_FOR_PROCESSES: Final = frozenset({"edges", "log_format", "log_level"})


class Engine:
    """An engine of this program. Use it with `async with`, or call `start` and `stop`; it starts once."""

    def __init__(
        self,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        database_url: str | None = None,
        grpc_port: int = 0,
        http_port: int | None = 0,
        **settings: object,
    ) -> None:
        """`data_dir`: where the PostgreSQL that comes along keeps its data, `.broadaxe` unless given; `database_url`:
        a PostgreSQL of your own instead. `grpc_port`, `http_port`: 0 takes a free one; without HTTP (None) there is no
        dashboard, and what SDKs ask over HTTP fails. Any other setting of docs/configuration.md by its name, such as
        `retention_days=7`; what is not given is looked for in its `BROADAXE_*` variable.

        Raises ConfigurationError, which names the argument that is wrong.
        """
        given = {
            **settings,
            "data_dir": None if data_dir is None else os.fspath(data_dir),
            "database_url": database_url,
            "grpc_port": grpc_port,
            "http_port": http_port or 0,
            "serve_http": http_port is not None,
        }
        self._settings = _settings(given, os.environ)
        self._clock: Clock | None = None
        self._stack = contextlib.AsyncExitStack()
        self._app: App | None = None
        self._tenant_id = self._token = ""

    @classmethod
    def with_clock(cls, clock: Clock, **arguments: object) -> Self:
        """One that goes by another clock than the machine's. For tests of workflows."""
        engine = cls(**arguments)  # type: ignore[arg-type]
        engine._clock = clock
        return engine

    async def start(self) -> Self:
        """Returns once workers can connect.

        ConfigurationError when another engine holds the data directory, a port is taken, or the database cannot be
        used; nothing is left behind then.
        """
        from broadaxe.app import App

        if self._app is not None:
            raise RuntimeError("an engine starts once; make another one")
        logs.leave_to_the_program()
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(only_engine(settings.data_dir, "data_dir"))
            app = self._app = await App.start(settings, clock=self._clock)
            stack.push_async_callback(app.stop)
            credentials = await app.bootstrap_dev(is_passing=True)
            self._tenant_id, self._token = credentials.tenant_id, credentials.token
            self._stack = stack.pop_all()
        return self

    async def stop(self) -> None:
        """Commits what was accepted and stops, PostgreSQL included. Safe to call twice."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def app(self) -> App:
        """What runs. RuntimeError before the start."""
        if self._app is None:
            raise RuntimeError("the engine has not started; use `async with`, or `await engine.start()`")
        return self._app

    @property
    def token(self) -> str:
        """What SDKs connect with; it names the addresses, so nothing else is needed but `tls_strategy`."""
        return self._of_running(self._token)

    @property
    def tenant_id(self) -> str:
        return self._of_running(self._tenant_id)

    @property
    def grpc_address(self) -> str:
        """`host:port`."""
        return self.app.grpc_address

    @property
    def http_url(self) -> str:
        """Where the REST API and the dashboard are."""
        return self.app.http_url

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an SDK in another process needs."""
        return {
            "HATCHET_CLIENT_TOKEN": self.token,
            "HATCHET_CLIENT_HOST_PORT": self.grpc_address,
            "HATCHET_CLIENT_SERVER_URL": self.http_url,
            "HATCHET_CLIENT_API_URL": self.http_url,
            "HATCHET_CLIENT_TLS_STRATEGY": self._settings.tls_strategy or "tls",
        }

    def _of_running(self, value: str) -> str:
        assert self.app is not None
        return value


def _settings(given: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    known = {field.name for field in Settings.__dataclass_fields__.values()} - _FOR_PROCESSES
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{name} is no setting of an engine inside a program", field=name)
    settings = load(environment, given, flags={name: name for name in given})
    return replace(settings, edges=0, data_dir=state_dir(settings))
