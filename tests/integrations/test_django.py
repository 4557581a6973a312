"""The Django project of the page: its site and its worker as processes, as a role with few rights in the engine's
database."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from hatchet_sdk import Hatchet

from broadaxe.testing.engine_under_test import EngineUnderTest
from tests.integrations.examples import ROOT, shown, source

PROJECT = ROOT / "examples" / "django"
SITE = Path(__file__).parent / "programs" / "django_site.py"


def surroundings(engine: EngineUnderTest, **others: str) -> dict[str, str]:
    parts = urlsplit(engine.database_url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return {
        **os.environ,
        **engine.environment,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]),
        "PGHOST": host,
        "PGPORT": parse_qs(parts.query).get("port", [str(parts.port or "")])[0],
        "PGDATABASE": parts.path.lstrip("/"),
        "PGUSER": "shop_app",
        "PGPASSWORD": "secret",
        "DJANGO_SUPERUSER_PASSWORD": "correct horse",
        **others,
    }


@contextlib.contextmanager
def running(*words: str, env: dict[str, str], log: Path) -> Iterator[Callable[[], None]]:
    """A process while it is needed; what is yielded fails with its last words when it has ended."""
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, *words], cwd=PROJECT, env=env, stdout=output, stderr=output)

    def lives() -> None:
        assert process.poll() is None, log.read_text()[-3000:]

    try:
        yield lives
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def site(engine: EngineUnderTest, tmp_path: Path) -> Iterator[httpx.Client]:
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        connection.execute("create role shop_app login password 'secret'")
        connection.execute("grant create, usage on schema public to shop_app")
        connection.execute("select broadaxe.grant_enqueue('shop_app', 'tests')")
    env, place = surroundings(engine), tmp_path / "port"
    with (
        running("manage.py", "worker", env=env, log=tmp_path / "worker.log") as worker_lives,
        running(str(SITE), str(place), env=env, log=tmp_path / "site.log") as site_lives,
    ):
        while not place.exists():
            site_lives()
            time.sleep(0.05)
        # A workflow has to be registered before the first call.
        hatchet = Hatchet()
        while not any(each.name == "ship-order" for each in hatchet.workflows.list().rows or []):
            worker_lives()
            time.sleep(0.05)
        with httpx.Client(base_url=f"http://127.0.0.1:{place.read_text()}", timeout=60) as client:
            yield client
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        connection.execute("drop owned by shop_app cascade")
        connection.execute("drop role shop_app")


def test_orders_and_their_runs_are_there_together_or_not_at_all(engine: EngineUnderTest, site: httpx.Client) -> None:
    placed = site.post("/orders/", data={"item": "lamp"})
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert Hatchet().runs.get_run_ref(order["run_id"]).result()["ship-order"] == {"shipped": "lamp"}
    shipped = {"item": "lamp", "shipped": True, "run_id": order["run_id"]}
    assert site.get(f"/orders/{order['id']}/").json() == shipped
    # Nothing is left, so the transaction rolls back, and takes its run along.
    sold_out = site.post("/orders/", data={"item": "rug"})
    assert (sold_out.status_code, sold_out.json()) == (409, {"error": "item: no rug is left"})
    assert site.get(f"/orders/{order['id'] + 1}/").status_code == 404
    assert len(engine.runs("ship-order")) == 1
    nothing = site.post("/orders/", data={"item": "boat"})
    assert (nothing.status_code, nothing.json()) == (400, {"error": "item: there is no 'boat' in the shop"})
    # The admin leads to the run.
    site.get("/admin/login/")
    entry = {"username": "ada", "password": "correct horse", "csrfmiddlewaretoken": site.cookies["csrftoken"]}
    entered = site.post("/admin/login/?next=/admin/shop/order/", data=entry, follow_redirects=True)
    link = re.search(r'<a href="([^"]*/runs/[^"]*)">', entered.text)
    assert link is not None and link[1] == f"{engine.http_url}/runs/{order['run_id']}"
    assert site.get(link[1]).status_code == 200


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["--slots", "0"], {}, "CommandError: --slots must be from 1 to 1000"),
        ([], {"HATCHET_CLIENT_TOKEN": ""}, "CommandError: where is the engine? set HATCHET_CLIENT_TOKEN"),
    ],
    ids=["slots", "no token"],
)
def test_what_is_wrong_with_a_start_is_one_sentence(
    engine: EngineUnderTest, words: list[str], variables: dict[str, str], said: str
) -> None:
    command = [sys.executable, "manage.py", "worker", *words]
    env = surroundings(engine, **variables)
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_the_page_shows_the_project() -> None:
    files = ["orders.py", "workflows.py", "management/commands/worker.py", "admin.py"]
    assert shown("django") == [source(f"django/shop/{file}") for file in files]
