"""Writes the table of routes and roles into docs/team.md, from what the routes declare (`rest/identity.py`).

python scripts/write_roles.py            writes the table
python scripts/write_roles.py --check    exits with 1 if the page shows another one
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi.routing import APIRoute

from broadaxe.rest.app import ROUTERS
from broadaxe.rest.identity import Access, access_of
from broadaxe.storage.accounts import Role

PAGE: Final = Path(__file__).resolve().parents[1] / "docs/team.md"
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    page = PAGE.read_text()
    written = written_into(page)
    if is_check:
        return int(written != page)
    PAGE.write_text(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
