"""What a database that is away looks like from here.

Owns the list of errors that say nothing about the request, only about the moment: the connection was lost, the server
shuts down, recovers, or has no room. Whoever meets one may try again.
"""

from __future__ import annotations

from typing import Final

import asyncpg

__all__ = ["OUTAGE", "OUTAGE_MESSAGE"]

OUTAGE: Final = (
    TimeoutError,
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)
OUTAGE_MESSAGE: Final = "the database cannot be reached just now; try again"
