"""`broadaxe open`: shows the file of a run in the dashboard, on this machine only, without an engine or a database."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["open_file"]


@click.command("open", short_help="Show the file of a run in the dashboard.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="HTTP port. [default: a free one]")
@click.option("--browser/--no-browser", default=True, help="Open a browser with it.")
def open_file(file: Path, port: int, browser: bool) -> None:
    """Show FILE, which somebody downloaded on the page of a run, as that page.

    It needs neither an engine nor PostgreSQL, listens on 127.0.0.1 only, and changes nothing. Ctrl-C ends it.

    \b
    Examples:
      broadaxe open run.json
      broadaxe open run.json --no-browser --port 8090
    """
    import asyncio

    from broadaxe.errors import ConfigurationError, InvalidArgument
    from broadaxe.rest.run_viewer import create_viewer, read_run_file

    try:
        content = read_run_file(file)
    except InvalidArgument as error:
        raise ConfigurationError(error.message) from None
    for sentence in content["cut"]:
        click.echo(f"Not whole: {sentence}.", err=True)
    asyncio.run(_serve(create_viewer(content, file.name), port, browser))


async def _serve(app: object, port: int, browser: bool) -> None:
    import asyncio
    import signal
    import webbrowser
    from typing import cast

    from starlette.types import ASGIApp

    from broadaxe.cli.stop_signals import on_signals
    from broadaxe.rest.server import HttpServer

    over = asyncio.Event()
    on_signals((signal.SIGINT, signal.SIGTERM), lambda _: over.set())
    server = HttpServer(grace_s=1)
    bound = await server.start(cast(ASGIApp, app), "127.0.0.1", port)
    address = f"http://127.0.0.1:{bound}/"
    click.echo(f"The run is at {address}  (Ctrl-C ends it)")
    if browser:
        await asyncio.to_thread(webbrowser.open, address)
    await over.wait()
    await server.stop()
