"""Writes what routes ask of their callers, as they declare it (`rest/identity.py`): the table in docs/team.md, and what
the console goes by when it offers something (`web/dashboard/src/services/roles.ts`).

python scripts/write_roles.py            writes both
python scripts/write_roles.py --check    exits with 1 if one of them says something else
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi.routing import APIRoute

from broadaxe.rest.app import ROUTERS
from broadaxe.rest.identity import Access, access_of
from broadaxe.storage.accounts import Role

PAGE: Final = Path(__file__).resolve().parents[1] / "docs/team.md"
CONSOLE: Final = PAGE.parents[1] / "web/dashboard/src/services/roles.ts"
#: Requests that the console never sends; some have the name of one that it does.
NOT_OF_THE_CONSOLE: Final = frozenset({"runs of 2025", "step runs of 2025"})
BEGIN: Final = "<!-- roles: written by scripts/write_roles.py -->\n"
END: Final = "<!-- roles: end -->"
#: The weakest first: whoever may do something is named, and all to their right may do it too.
ROLES: Final = tuple(reversed(Role))


def routes() -> Iterator[tuple[str, str, Access]]:
    """Subject, request and access of every route, in the order in which the API has them."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in sorted(route.methods):
                    yield str(route.tags[0]), f"{method} {route.path}", access_of(route.dependant)


def cells(access: Access) -> list[str]:
    """For each of `ROLES` and for tokens, whether the route is open to it."""
    token = "with its role" if access.takes_tokens else "no"
    if not access.needs_caller:
        return ["yes"] * len(ROLES) + ["not needed"]
    if access.is_for_operators:
        return ["operators"] * len(ROLES) + [token]
    return ["yes" if access.role is None or role.reaches(access.role) else "no" for role in ROLES] + [token]


def table() -> str:
    lines = []
    subject = ""
    for its_subject, request, access in routes():
        if its_subject != subject:
            subject = its_subject
            lines += ["", f"**{subject[0].upper()}{subject[1:]}**", ""]
            lines += [f"| request | {' | '.join(f'`{role}`' for role in ROLES)} | token |", "|---|" + "---|" * 5]
        lines.append(f"| `{request}` | {' | '.join(cells(access))} |")
    return "\n".join([*lines, ""])


def written_into(page: str) -> str:
    """The page with the present table between its marks."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}{table()}\n{END}{tail}"


def of_the_console() -> str:
    """The module with the role that each request needs, by its function's name; what everybody in a tenant may do is
    left out, and so is what belongs to no tenant."""
    lines = [
        "/** Who may send which request. Written by scripts/write_roles.py from what the routes declare. */",
        "",
        "/** The weakest first: whatever one may do, those after it may do too. */",
        f"export const ROLES = {json.dumps(ROLES)} as const;",
        "export type Role = (typeof ROLES)[number];",
        "",
        "/** The role that a request needs, where seeing is not enough. */",
        "export const NEEDED_ROLES = {",
    ]
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.tags[0] not in NOT_OF_THE_CONSOLE:
                role = access_of(route.dependant).role
                if role not in (None, Role.VIEWER):
                    first, *others = route.name.split("_")
                    lines.append(f'  {first}{"".join(word.capitalize() for word in others)}: "{role}",')
    return "\n".join([*lines, "} as const;", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    written = {PAGE: written_into(PAGE.read_text()), CONSOLE: of_the_console()}
    if is_check:
        return int(any(not path.exists() or path.read_text() != text for path, text in written.items()))
    for path, text in written.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
