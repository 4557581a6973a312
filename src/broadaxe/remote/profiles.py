"""The servers that somebody works with from the terminal, by name: address and token of each, and which one is meant
when none is named.

Owns the file `profiles.json` in the user's own directory of configuration. Only its owner may read it, and it is
written in one step. Refuses to know where else a token may come from: that is `cli/connection.py`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import click
import msgspec

from broadaxe import private_file
from broadaxe.errors import ConfigurationError, InvalidArgument

__all__ = ["Profile", "Profiles", "checked_name", "place", "read", "write"]

FILE_BYTES_MAX: Final = 1 << 20
PROFILES_MAX: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Profile(msgspec.Struct, frozen=True):
    url: str
    token: str


class Profiles(msgspec.Struct):
    current: str = ""
    """The one that is meant when none is named; empty when there is none."""
    profiles: dict[str, Profile] = {}

    def named(self, name: str, flag: str) -> Profile:
        """InvalidArgument naming `flag` when there is none of that name."""
        found = self.profiles.get(name)
        if found is None:
            known = f"there are {', '.join(sorted(self.profiles))}" if self.profiles else "there is none yet"
            raise InvalidArgument(
                f"{flag} {name[:80]!r}: no such profile; {known}; `broadaxe login --profile NAME` makes one", field=flag
            )
        return found


def place() -> Path:
    """Where the file is: `~/.config/broadaxe` (XDG_CONFIG_HOME), or what the operating system has in its place."""
    return Path(click.get_app_dir("broadaxe")) / "profiles.json"


def read(path: Path) -> Profiles:
    """What is kept; nothing when there is no such file. ConfigurationError when it is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        return msgspec.json.decode(content, type=Profiles)
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: {error}; correct it, or remove it and log in again with `broadaxe login`"
        ) from None


def write(path: Path, kept: Profiles) -> None:
    """ConfigurationError when it cannot be written; what was there before is there still then."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with os.fdopen(private_file.create(temporary), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(kept)))
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; XDG_CONFIG_HOME names another directory") from None


def checked_name(name: str, flag: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{flag} {name[:80]!r}: a name has letters, digits, dots, hyphens and underscores, 64 at most", field=flag
        )
    return name
