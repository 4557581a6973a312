"""What can be shown here of systems that we do not run: types (`make types`), imports, and the server on a port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from broadaxe import file_lock
from broadaxe.storage import server_host
from broadaxe.storage.embedded import EmbeddedPostgres

#: What a Python of that system lacks: modules, and names of modules.
LACKING = {
    "win32": (
        ["fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty", "uvloop"],
        [
            "asyncio.open_unix_connection",
            "asyncio.start_unix_server",
            "os.O_CLOEXEC",
            "os.chown",
            "os.fchmod",
            "os.fork",
            "os.getegid",
            "os.geteuid",
            "os.getpgid",
            "os.getuid",
            "os.killpg",
            "os.pidfd_open",
            "os.setsid",
            "os.uname",
            "select.poll",
            "signal.SIGHUP",
            "signal.SIGKILL",
            "signal.SIGQUIT",
            "signal.pause",
            "socket.AF_UNIX",
        ],
    ),
    "darwin": ([], ["os.pidfd_open", "os.sched_getaffinity", "select.epoll"]),
}

PROGRAM = """
import importlib, json, pkgutil, subprocess, sys, types

def import_all():
    import broadaxe
    names = [module.name for module in pkgutil.walk_packages(broadaxe.__path__, "broadaxe.")]
    for name in names:
        if name != "broadaxe.__main__":
            importlib.import_module(name)
    return names

# Others' modules first and as they are: on that system there is another build of them.
import_all()
for name in [name for name in sys.modules if name.partition(".")[0] == "broadaxe"]:
    del sys.modules[name]
sys.platform = sys.argv[1]
modules, names = json.loads(sys.argv[2])
for name in modules:
    sys.modules[name] = None
for name in names:
    module, _, attribute = name.rpartition(".")
    if hasattr(importlib.import_module(module), attribute):
        delattr(sys.modules[module], attribute)
if sys.platform == "win32":
    sys.modules["msvcrt"] = types.ModuleType("msvcrt")
    subprocess.CREATE_NEW_PROCESS_GROUP = 0x200
print(len(import_all()))
"""


@pytest.mark.parametrize("system", sorted(LACKING))
def test_every_module_can_be_imported_there(system: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, system, json.dumps(LACKING[system])],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


def test_a_file_is_held_by_several_or_by_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second, third = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(3))
    assert file_lock.take(first, shared=True) and file_lock.take(second, shared=True)
    assert not file_lock.take(third)
    os.close(first)
    assert not file_lock.take(third)
    os.close(second)
    assert file_lock.take(third)
    os.close(third)


async def test_where_there_are_no_unix_sockets_the_server_listens_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_host, "IS_ON_TCP", True)
    async with await EmbeddedPostgres.start(tmp_path) as server:
        dsn, pid = server.dsn, server.pid
        assert "@127.0.0.1:" in dsn and "host=" not in dsn
        assert {connection.laddr.ip for connection in psutil.Process(pid).net_connections()} == {"127.0.0.1"}
        second = await EmbeddedPostgres.start(tmp_path)
        assert second.attached and second.dsn == dsn, "whoever attaches finds the port"
        await second.stop()
        wrong = dsn.replace(server._password, "guess")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong)
        psutil.Process(pid).send_signal(signal.SIGKILL)
        await server._server_gone()
        async with server._exclusively():
            await server._bring_up(60)
        assert (server.dsn, server.pid != pid) == (dsn, True), "the same address after a restart"
        connection = await asyncpg.connect(dsn)
        await connection.close()
    assert not psutil.pid_exists(server.pid) or server.pid == 0
