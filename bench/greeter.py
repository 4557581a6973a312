"""The first example of the README: one task on the official SDK. As a program it is the worker."""

from __future__ import annotations

from hatchet_sdk import ClientConfig, Context, EmptyModel, Hatchet
from hatchet_sdk.config import ClientTLSConfig
from hatchet_sdk.runnables.workflow import Standalone

NAME = "bench-greet"


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


if __name__ == "__main__":
    hatchet = Hatchet()
    hatchet.worker("greeter", workflows=[greeting(hatchet)]).start()
