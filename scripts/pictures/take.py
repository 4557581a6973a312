"""Takes the pictures of `docs/console.md` from a running console.

python scripts/pictures/take.py            writes docs/pictures/*.webp

It starts an engine with a database of its own, the worker of `shop.py`, fills the shop with some life, and opens the
console in Chromium. Everything is gone afterwards but the pictures. Needs the built console (`make setup`) and a
Chromium, which BROADAXE_CHROMIUM may name.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Page, async_playwright, expect

ROOT: Final = Path(__file__).resolve().parents[2]
PICTURES: Final = ROOT / "docs" / "pictures"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SIZE: Final = {"width": 1280, "height": 800}
QUALITY: Final = 0.72
PATIENCE_S: Final = 120.0
#: All pictures together: people read the documentation over slow lines, too.
BYTES_MAX: Final = 1_000_000
#: Turns a PNG into a WebP in the browser that took it, so that no imaging library is needed.
TO_WEBP: Final = """async ([png, quality]) => {
    const image = new Image();
    image.src = 'data:image/png;base64,' + png;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.width; canvas.height = image.height;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', quality).split(',')[1];
}"""
STILL: Final = (
    "*, ::before, ::after { animation: none !important; transition: none !important; caret-color: transparent; }"
)


@dataclass(frozen=True, slots=True)
class Shop:
    """What is running, and what of it has a page of its own."""

    url: str
    retried_order: str
    waiting_parcel: str
    order_workflow: str


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    address: Callable[[Shop], str]
    ready: str
    """A text that stands there when the page shows what it is about."""
    act: Callable[[Page], Awaitable[None]] | None = None


PICTURE_LIST: Final = (
    Picture("overview", lambda shop: "/", "fulfil-order"),
    Picture("runs", lambda shop: "/runs", "fulfil-order"),
    # One that was tried again and then went well: a traceback would show where this machine keeps its packages.
    Picture("run", lambda shop: f"/runs/{shop.retried_order}", "tell_customer"),
    Picture("waiting", lambda shop: f"/runs/{shop.waiting_parcel}", "acme"),
    Picture("workflow", lambda shop: f"/workflows/{shop.order_workflow}", "order:paid"),
    Picture("events", lambda shop: "/events", "order:paid"),
    Picture("concurrency", lambda shop: "/concurrency", "acme"),
    Picture("upcoming", lambda shop: "/upcoming", "nightly-report"),
    Picture("workers", lambda shop: "/workers", "warehouse-1"),
    Picture("alerts", lambda shop: "/settings/alerts", "fulfil-order"),
    Picture("members", lambda shop: "/settings/members", "birch@example.com"),
    Picture("audit", lambda shop: "/settings/audit", "orders break"),
    Picture("account", lambda shop: "/settings/account", "Second factor"),
    Picture("limits", lambda shop: "/settings/limits", "Task runs"),
)


async def main() -> None:
    if not (ROOT / "web" / "dashboard" / "dist" / "index.html").exists():
        sys.exit("the console is not built: run `make setup` first")
    chromium = os.environ.get("BROADAXE_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        sys.exit("no browser: install Chromium, or name one in BROADAXE_CHROMIUM")
    with tempfile.TemporaryDirectory(prefix="broadaxe-pictures-") as name:
        directory = Path(name)
        engine = spawn(directory, "engine", [sys.executable, "-m", "broadaxe.cli.main", *engine_words(directory)], {})
        worker = None
        try:
            environment = await environment_of(engine, directory)
            for email, role in (("birch@example.com", "MEMBER"), ("cedar@example.com", "VIEWER")):
                let_in(directory, email, role)
            worker = spawn(directory, "worker", [sys.executable, str(ROOT / "scripts/pictures/shop.py")], environment)
            async with taking_messages() as hook:
                shop = await fill(environment, hook)
            link = (directory / "data" / "dashboard.url").read_text(encoding="utf-8").strip()
            await take(chromium, link, shop)
        finally:
            if worker is not None:
                # It would wait for the parcels, which take ten minutes.
                os.killpg(worker.pid, signal.SIGKILL)
            engine.terminate()
            engine.wait(60)
    sizes = {path.name: path.stat().st_size for path in sorted(PICTURES.glob("*.webp"))}
    print("\n".join(f"{size:>9,}  {path}" for path, size in sizes.items()), f"\n{sum(sizes.values()):>9,}  together")
    if sum(sizes.values()) > BYTES_MAX:
        sys.exit(f"the pictures are larger than {BYTES_MAX:,} bytes together: lower QUALITY or take fewer")


def let_in(directory: Path, email: str, role: str) -> None:
    words = ("account", "add", email, "--role", role, "--data-dir", str(directory / "data"))
    adding = spawn(
        directory,
        "account",
        [sys.executable, "-m", "broadaxe.cli.main", *words],
        {"BROADAXE_ACCOUNT_PASSWORD": f"Aa1{secrets.token_hex(8)}"},
    )
    assert adding.wait(60) == 0, (directory / "account.log").read_text(errors="replace")


def engine_words(directory: Path) -> list[str]:
    places = ("--data-dir", str(directory / "data"), "--env-file", str(directory / "engine.env"))
    return ["dev", *places, "--grpc-port", "0", "--http-port", "0", "--alert-networks", "127.0.0.1"]


def spawn(directory: Path, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HATCHET_", "BROADAXE_"))}
    with (directory / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=directory, env=inherited | environment, stdout=log, stderr=log, start_new_session=True
        )


async def environment_of(engine: subprocess.Popen[bytes], directory: Path) -> dict[str, str]:
    """What the engine writes into its file when it is ready."""
    path = directory / "engine.env"

    async def written() -> bool:
        assert engine.poll() is None, (directory / "engine.log").read_text(errors="replace")[-5_000:]
        return path.exists()

    await until(written, "the engine is ready")
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 nobody tells a program outside; this is a script, not the engine
            await asyncio.sleep(0.2)
    print(what)


@asynccontextmanager
async def taking_messages() -> AsyncIterator[str]:
    """Where alerts are told: takes whatever comes."""

    async def take_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take_one, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/on-call"


async def fill(environment: dict[str, str], hook: str) -> Shop:
    """Gives the shop a day's life in a few seconds."""
    os.environ.update({name: value for name, value in environment.items() if name.startswith("HATCHET_CLIENT_")})
    from hatchet_sdk import TriggerWorkflowOptions
    from hatchet_sdk.rate_limit import RateLimitDuration
    from shop import MAIL_LIMIT, Letter, Order, Parcel, hatchet, mail, order, parcel, refund, report

    url, tenant = environment["HATCHET_CLIENT_SERVER_URL"], hatchet.tenant_id
    headers = {"Authorization": f"Bearer {environment['HATCHET_CLIENT_TOKEN']}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:

        async def rows(path: str, **query: Any) -> list[dict[str, Any]]:
            answer = await http.get(path, params=query)
            answer.raise_for_status()
            found: list[dict[str, Any]] = answer.json()["rows"]
            return found

        async def has_worker() -> bool:
            return any(row["status"] == "ACTIVE" for row in await rows(f"/api/v1/tenants/{tenant}/worker"))

        async def has_failed() -> bool:
            answer = await http.get(f"/api/v1/stable/workflow-runs/{failed.workflow_run_id}/status")
            return bool(answer.json() == "FAILED")

        async def is_quiet() -> bool:
            active = await rows(
                f"/api/v1/stable/tenants/{tenant}/workflow-runs",
                since=(datetime.now(UTC) - timedelta(hours=1)).isoformat(),
                only_tasks=False,
                statuses=["RUNNING", "QUEUED"],
                limit=100,
            )
            return all(row["displayName"].startswith(("book-parcel", "refund", "send-mail")) for row in active)

        async def has_told() -> bool:
            told = await rows(f"/api/v1/stable/tenants/{tenant}/alert-deliveries")
            return any(row["status"] == "DELIVERED" for row in told)

        async def make(path: str, **body: Any) -> str:
            answer = await http.post(path, json=body)
            answer.raise_for_status()
            made: str = answer.json()["metadata"]["id"]
            return made

        await until(has_worker, "the worker is there")
        await hatchet.rate_limits.aio_put(MAIL_LIMIT, 10, RateLimitDuration.MINUTE)
        stable = f"/api/v1/stable/tenants/{tenant}"
        on_call = await make(f"{stable}/alert-channels", kind="WEBHOOK", name="on-call", url=hook)
        await make(
            f"{stable}/alert-rules",
            name="orders break",
            kind="RUN_FAILED",
            workflow="fulfil-order",
            channels=[on_call],
        )
        customers = ("acme", "birch", "cedar", "dogwood")
        orders = []
        for number in range(36):
            customer = customers[number % len(customers)]
            started = await order.aio_run(
                Order(number=f"A{1000 + number}", customer=customer, express=number % 5 == 0),
                options=TriggerWorkflowOptions(additional_metadata={"customer": customer}),
                wait_for_result=False,
            )
            orders.append(started.workflow_run_id)
        for number in range(14):
            await mail.aio_run(Letter(to=f"{customers[number % 4]}@example.com"), wait_for_result=False)
        for number in range(3):
            await hatchet.event.aio_push(
                "order:paid", Order(number=f"E{number}").model_dump(), additional_metadata={"shop": "web"}
            )
        await report.aio_run(Order(number="report"), wait_for_result=False)
        await refund.aio_run(Order(number="A1004", amount=18.0), wait_for_result=False)
        await order.aio_schedule(datetime.now(UTC) + timedelta(hours=3), Order(number="A2000"))
        broke = [
            await order.aio_run(Order(number=f"B{number}", customer="broke"), wait_for_result=False)
            for number in range(2)
        ]
        failed = broke[-1]
        parcels = [
            await parcel.aio_run(Parcel(number=f"P{number}", customer=customer), wait_for_result=False)
            for number, customer in enumerate(("acme", "acme", "acme", "birch"))
        ]
        await until(has_failed, "an order has failed")
        await until(is_quiet, "the orders are done")
        await until(has_told, "somebody was told")
        workflows = await rows(f"/api/v1/tenants/{tenant}/workflows", name="fulfil-order")
    return Shop(url, orders[0], parcels[1].workflow_run_id, workflows[0]["metadata"]["id"])


async def take(chromium: str, link: str, shop: Shop) -> None:
    PICTURES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(base_url=shop.url, viewport=SIZE, color_scheme="light", locale="en-GB")
        page, press = await context.new_page(), await context.new_page()
        await page.goto(link)
        for picture in PICTURE_LIST:
            await page.goto(picture.address(shop))
            await page.get_by_role("heading", level=1).first.wait_for()
            await page.get_by_text(picture.ready).first.wait_for(state="attached")
            # The stream of news stays open, so the network is never idle.
            await expect(page.get_by_role("status").filter(has_text=re.compile("^Loading"))).to_have_count(0)
            await page.add_style_tag(content=STILL)
            if picture.act is not None:
                await picture.act(page)
            png = base64.b64encode(await page.screenshot()).decode()
            webp = await press.evaluate(TO_WEBP, [png, QUALITY])
            (PICTURES / f"{picture.name}.webp").write_bytes(base64.b64decode(webp))
            print(f"took {picture.name}")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
