"""Reaching the engine: the client's configuration, and waiting for an engine that is still starting.

Refuses to start without a token, and gives up after a bounded wait, each with one sentence.
"""

from __future__ import annotations

import asyncio
import logging

import grpc
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.config import TenacityConfig
from pydantic import ValidationError

from rag_chat.errors import EngineError

PAUSE_BETWEEN_TRIES_S = 0.5
TRY_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


def connect(attempts_max: int | None = None) -> Hatchet:
    """A client from HATCHET_CLIENT_*. `attempts_max` bounds how often one call is tried; the SDK's default is 5."""
    try:
        config = ClientConfig()
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise EngineError(
            f"The engine's client is not configured: {reason.partition('. ')[0]}. Set HATCHET_CLIENT_TOKEN and "
            "HATCHET_CLIENT_HOST_PORT as the engine printed them."
        ) from None
    except Exception as error:
        raise EngineError(f"HATCHET_CLIENT_TOKEN cannot be read: {error or type(error).__name__}") from None
    if attempts_max is not None:
        config.tenacity = TenacityConfig(max_attempts=attempts_max)
    return Hatchet(config=config)


async def wait_for_engine(hatchet: Hatchet, wait_s: float) -> None:
    """Return once the engine answers; raises EngineError after `wait_s` seconds, at once when it refuses the token."""
    deadline = asyncio.get_running_loop().time() + wait_s
    address = hatchet.config.host_port
    told = False
    while True:
        try:
            async with asyncio.timeout(TRY_TIMEOUT_S):
                await hatchet.aio_get_engine_version()
            return
        except (grpc.RpcError, TimeoutError) as error:
            code = error.code() if isinstance(error, grpc.RpcError) else None
            if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise EngineError(f"The engine at {address} refuses the token in HATCHET_CLIENT_TOKEN.") from None
            if asyncio.get_running_loop().time() >= deadline:
                raise EngineError(
                    f"The engine at {address} did not answer within {wait_s:g} s. "
                    "Is it running, and is HATCHET_CLIENT_HOST_PORT right?"
                ) from None
        if not told:
            logger.info("waiting for the engine at %s", address)
            told = True
        await asyncio.sleep(PAUSE_BETWEEN_TRIES_S)
