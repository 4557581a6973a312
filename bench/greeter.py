"""The first example of the README: one task on the official SDK. As a program it is the worker: the SDK's own
(`official`), or ours (`session`)."""

from __future__ import annotations

import sys

from hatchet_sdk import ClientConfig, Context, EmptyModel, Hatchet
from hatchet_sdk.config import ClientTLSConfig
from hatchet_sdk.runnables.workflow import Standalone

NAME = "bench-greet"
ASYNC_NAME = "bench-greet-async"


def client(host_port: str, server_url: str, token: str) -> Hatchet:
    config = ClientConfig(
        token=token, host_port=host_port, server_url=server_url, tls_config=ClientTLSConfig(strategy="none")
    )
    return Hatchet(config=config)


def greeting(hatchet: Hatchet) -> Standalone[EmptyModel, dict[str, str]]:
    @hatchet.task(name=NAME)
    def greet(_: EmptyModel, ctx: Context) -> dict[str, str]:
        return {"text": "hello"}

    return greet


def greeting_async(hatchet: Hatchet) -> Standalone[EmptyModel, dict[str, str]]:
    @hatchet.task(name=ASYNC_NAME)
    async def greet(_: EmptyModel, ctx: Context) -> dict[str, str]:
        return {"text": "hello"}

    return greet


if __name__ == "__main__":
    hatchet = Hatchet()
    worker = hatchet.worker("greeter", slots=200, workflows=[greeting(hatchet), greeting_async(hatchet)])
    if sys.argv[1:] == ["session"]:
        from broadaxe_worker import Worker

        Worker.of(worker).start()
    else:
        worker.start()
