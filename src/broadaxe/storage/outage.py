"""What a database that is away looks like from here.

Owns the list of errors that say nothing about the request, only about the moment: the connection was lost, the server
shuts down, recovers, has become a standby, cannot use its disk, or has no room. Whoever meets one may try again. There
is no other such list: what belongs to an outage is decided here.
"""

from __future__ import annotations

from typing import Final

import asyncpg

__all__ = ["OUTAGE", "OUTAGE_MESSAGE", "UNANSWERED"]

OUTAGE: Final = (
    TimeoutError,
    OSError,
    asyncpg.InterfaceError,
    # How a connection that dies at just the wrong moment shows.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    # Somebody has told the database to take nobody for now.
    asyncpg.ObjectNotInPrerequisiteStateError,
    # It stood still in the middle of one.
    asyncpg.IdleInTransactionSessionTimeoutError,
)
#: However a question can stay without an answer: the database is away, or it refuses, a wrong password for instance.
UNANSWERED: Final = (*OUTAGE, asyncpg.PostgresError)
OUTAGE_MESSAGE: Final = "the database cannot be reached just now; try again"
