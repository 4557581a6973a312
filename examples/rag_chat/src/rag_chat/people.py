"""Who asks: a name that a browser keeps, until there is a sign-in.

Owns the cookie. The name is unguessable and only its hash is stored, so that a reader of the database cannot pass for
anybody. Scripts of the page cannot read it, and other sites cannot send it along with a question of theirs.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated

from fastapi import Depends, Request, Response

COOKIE = "rag_chat_person"
# Browsers keep a cookie no longer than this.
KEPT_FOR_S = 400 * 24 * 3600
NAME = re.compile(r"[A-Za-z0-9_-]{43}")


def hash_of(secret: str) -> str:
    """What is stored of a name or a link: 64 hexadecimal digits. Enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """43 characters that fit into an address and that nobody guesses."""
    return secrets.token_urlsafe(32)


def known_person(request: Request) -> str | None:
    """The hash of who asks; None for a caller without a name, such as a program."""
    name = request.cookies.get(COOKIE, "")
    return hash_of(name) if NAME.fullmatch(name) else None


def named_person(request: Request, response: Response) -> str:
    """The hash of who asks. A browser without a name gets one, and one that has it keeps it for longer."""
    name = request.cookies.get(COOKIE, "")
    if not NAME.fullmatch(name):
        name = new_secret()
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, name, max_age=KEPT_FOR_S, httponly=True, samesite="lax", secure=secure)
    response.headers["Cache-Control"] = "no-store"
    return hash_of(name)


KnownPerson = Annotated[str | None, Depends(known_person)]
NamedPerson = Annotated[str, Depends(named_person)]
