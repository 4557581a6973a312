"""A GitHub for tests, on loopback: its web flow and the parts of its API that a sign-in asks, in the shapes and with
the refusals that its documentation describes (OAuth apps, web application flow; REST API 2022-11-28)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Form, Header
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from broadaxe.rest.vouching import pkce_challenge

CLIENT_ID = "Iv1.0123"
SECRET = "hub secret"


@dataclass
class GitHub:
    """Whoever comes is `user`, and grants what is asked for unless `denies`."""

    user: dict[str, Any] = field(default_factory=lambda: {"login": "ada", "id": 7, "name": "Ada"})
    emails: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"email": "Ada@Example.com", "primary": True, "verified": True, "visibility": "private"},
            {"email": "old@example.com", "primary": False, "verified": True, "visibility": None},
        ]
    )
    orgs: list[str] = field(default_factory=list)
    teams: list[tuple[str, str]] = field(default_factory=list)
    denies: bool = False
    grants: set[str] | None = None
    """What is granted of what is asked for; None grants all."""
    _codes: dict[str, tuple[str, str, set[str]]] = field(default_factory=dict)
    _tokens: dict[str, set[str]] = field(default_factory=dict)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/login/oauth/authorize")
        async def authorize(
            client_id: str, redirect_uri: str, scope: str, state: str, code_challenge: str, code_challenge_method: str
        ) -> Response:
            assert (client_id, code_challenge_method) == (CLIENT_ID, "S256")
            if self.denies:
                said = {"error": "access_denied", "error_description": "The user has denied access.", "state": state}
                return RedirectResponse(f"{redirect_uri}?{urlencode(said)}", 302)
            code = secrets.token_hex(10)
            self._codes[code] = (redirect_uri, code_challenge, set(scope.split()) & (self.grants or set(scope.split())))
            return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 302)

        @app.post("/login/oauth/access_token")
        async def access_token(
            client_id: Annotated[str, Form()],
            client_secret: Annotated[str, Form()],
            code: Annotated[str, Form()],
            redirect_uri: Annotated[str, Form()],
            code_verifier: Annotated[str, Form()],
            accept: Annotated[str, Header()] = "",
        ) -> Response:
            uri, challenge, scopes = self._codes.pop(code, ("", "", set()))
            if (client_id, client_secret) != (CLIENT_ID, SECRET):
                said = {"error": "incorrect_client_credentials", "error_description": "The client_id is incorrect."}
            elif uri != redirect_uri or challenge != pkce_challenge(code_verifier):
                said = {"error": "bad_verification_code", "error_description": "The code is incorrect or expired."}
            else:
                token = f"gho_{secrets.token_hex(10)}"
                self._tokens[token] = scopes
                said = {"access_token": token, "scope": ",".join(sorted(scopes)), "token_type": "bearer"}
            return JSONResponse(said) if accept == "application/json" else PlainTextResponse(urlencode(said))

        @app.get("/api/v3/{what:path}")
        async def api(
            what: str, authorization: Annotated[str, Header()] = "", per_page: int = 30, page: int = 1
        ) -> Response:
            if what == "meta":
                return JSONResponse({"verifiable_password_authentication": False})
            scopes = self._tokens.get(authorization.removeprefix("Bearer "))
            if scopes is None:
                return JSONResponse({"message": "Bad credentials"}, 401)
            rows: dict[str, tuple[str, list[Any]]] = {
                "user/emails": ("user:email", self.emails),
                "user/orgs": ("read:org", [{"login": login, "id": 1} for login in self.orgs]),
                "user/teams": (
                    "read:org",
                    [{"slug": slug, "name": slug, "organization": {"login": org}} for org, slug in self.teams],
                ),
            }
            if what == "user":
                return JSONResponse(self.user)
            scope, found = rows[what]
            if scope not in scopes:
                return JSONResponse({"message": "Not Found"}, 404)
            return JSONResponse(found[(page - 1) * per_page : page * per_page])

        return app
