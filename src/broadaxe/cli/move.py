"""`broadaxe import`: bring what waits on another server, or in a file, to this one, over REST.

Owns the flags, the question, and how plan and report are written. What is moved, and how, is in `broadaxe.moving`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broadaxe.cli import options
from broadaxe.errors import ConfigurationError, InvalidArgument, Unavailable

if TYPE_CHECKING:
    from broadaxe.moving.plan import Plan, Source
    from broadaxe.remote.server import Server

__all__ = ["import_"]

SECRETS_BYTES_MAX = 1 << 20
NAMES_SHOWN_MAX = 5
NAMES_TOLD_MAX = 1_000


@click.command("import", short_help="Bring what waits on another server to this one.")
@click.option("--from-url", metavar="URL", help="The server to move from. [default: as its token says]")
@click.option(
    "--from-token",
    metavar="TOKEN",
    envvar="BROADAXE_FROM_TOKEN",
    help="A token of the tenant to move from. [BROADAXE_FROM_TOKEN]",
)
@click.option(
    "--from-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of a tenant that `broadaxe export` saved, instead of a server.",
)
@click.option("--url", metavar="URL", help="The server to move to. [default: as its token says]")
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="BROADAXE_TOKEN",
    help="A token of the tenant to move to. [default: that of `broadaxe dev` in the data directory; BROADAXE_TOKEN]",
)
@click.option(
    "--webhook-secrets",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A JSON file with the `auth` object of each webhook, by its name; without it webhooks are only listed.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    help="How long a server may say nothing.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be moved, and move nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before moving.")
@options.as_json
@options.data_dir
def import_(
    from_url: str | None,
    from_token: str | None,
    from_file: Path | None,
    url: str | None,
    token: str | None,
    webhook_secrets: Path | None,
    timeout: float,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Bring what waits in a tenant of another server to a tenant of this one: crons, scheduled runs, filters, webhooks,
    rate limits, and queued runs with their inputs.

    The other server may be any that speaks this protocol's REST API; it is only read. The file of a tenant will do as
    well. First it is shown what would be moved; then you are asked, or --yes says so. What was moved before is not
    moved again, so after an interruption, or once more workers are registered, run the same command again.

    Register your workers here first, and stop those on the other server: a queued run that both take runs twice.

    \b
    Examples:
      broadaxe import --from-url http://old:8080 --from-token "$OLD_TOKEN" --dry-run
      broadaxe import --from-url http://old:8080 --from-token "$OLD_TOKEN" --token "$NEW_TOKEN" --yes
      broadaxe import --from-file billing.jsonl --dry-run

    Exit code 0 when all that can be moved is here, 1 when something is left that could be.
    """
    from broadaxe.cli.progress import Progress
    from broadaxe.moving.mover import move
    from broadaxe.moving.plan import survey

    secrets = _secrets(webhook_secrets)
    source = _source(from_url, from_token, from_file, timeout)
    target = _target(url, token, timeout, data_dir)
    progress = Progress()
    plan = survey(source, target, secrets, progress)
    progress.end()
    wanted = sum(len(section.wanted) for section in plan.sections.values()) + len(plan.runs)
    if not as_json or not (dry_run or yes):
        click.echo(_text(plan, source, target, "to move"), err=as_json)
    if dry_run or not wanted:
        if as_json:
            click.echo(_json(plan, source, target, dry_run=dry_run))
        raise SystemExit(0 if dry_run or plan.is_whole else 1)
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidArgument("nothing was moved: give --yes to move this, or --dry-run only to look")
        click.confirm("Move this?", abort=True, err=True)
    try:
        move(plan, source, target, progress)
    except Unavailable as error:
        raise Unavailable(
            f"{error.message}\nWhat was moved until now is listed above; run the same command again to go on from there"
        ) from None
    finally:
        progress.end()
        click.echo(_json(plan, source, target, dry_run=False) if as_json else _text(plan, source, target, "moved"))
    raise SystemExit(0 if plan.is_whole else 1)


def _source(from_url: str | None, from_token: str | None, from_file: Path | None, timeout_s: float) -> Source:
    from broadaxe.moving.tenant_file import TenantFile
    from broadaxe.remote.server import Server, claims_of

    if from_file is not None:
        if from_url is not None:
            raise ConfigurationError("give --from-file or --from-url, not both", field="--from-file")
        return TenantFile(from_file)
    if from_token is None:
        raise click.UsageError("Missing --from-token of the tenant to move from, or --from-file with its file.")
    return Server(
        "the server to move from",
        from_url or claims_of(from_token, "--from-token").server_url,
        from_token,
        timeout_s=timeout_s,
        url_flag="--from-url",
        token_flag="--from-token",
    )


def _target(url: str | None, token: str | None, timeout_s: float, data_dir: str | None) -> Server:
    from broadaxe import dev_secrets
    from broadaxe.remote.server import Server, claims_of

    if token is None:
        settings = options.settings_from({"data_dir": data_dir})
        kept = dev_secrets.read(dev_secrets.place(settings.data_dir))
        if not kept.token:
            raise ConfigurationError(
                f"`broadaxe dev` never ran in {settings.data_dir}; give --token (and --url) of the server to move to, "
                "or --data-dir",
                field="--token",
            )
        token, url = kept.token, url or kept.server_url
    return Server(
        "the server to move to",
        url or claims_of(token, "--token").server_url,
        token,
        timeout_s=timeout_s,
        url_flag="--url",
        token_flag="--token",
    )


def _secrets(file: Path | None) -> dict[str, dict[str, object]]:
    if file is None:
        return {}
    import msgspec

    try:
        with file.open("rb") as content:
            text = content.read(SECRETS_BYTES_MAX + 1)
        if len(text) > SECRETS_BYTES_MAX:
            raise InvalidArgument(f"--webhook-secrets {file}: more than {SECRETS_BYTES_MAX >> 20} MiB")
        return msgspec.json.decode(text, type=dict[str, dict[str, object]])
    except OSError as error:
        raise InvalidArgument(f"--webhook-secrets {file}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            f'--webhook-secrets {file}: {error}; write {{"name of the webhook": {{"signingSecret": ...}}}}'
        ) from None


def _text(plan: Plan, source: Source, target: Server, verb: str) -> str:
    lines = [
        f"from  {plan.source_tenant}  {source.url}",
        f"to    {plan.target_tenant}  {target.url}",
        "",
        f"{'':<16}{verb:>10}{'here already':>14}{'left there':>12}",
    ]
    for section in plan.sections.values():
        count = section.moved if verb == "moved" else plan.count(section.kind)
        left = sum(map(len, section.left.values()))
        lines.append(f"{section.kind:<16}{count:>10}{section.there:>14}{left:>12}")
    for section in plan.sections.values():
        for reason, labels in section.left.items():
            lines += ["", f"left there, {len(labels)} of {section.kind}: {reason}"]
            lines += [f"  {label}" for label in labels[:NAMES_SHOWN_MAX]]
            if len(labels) > NAMES_SHOWN_MAX:
                lines.append(f"  ... and {len(labels) - NAMES_SHOWN_MAX} more; --json names them")
    return "\n".join([*lines, "", *(f"note: {note}" for note in plan.notes)])


def _json(plan: Plan, source: Source, target: Server, *, dry_run: bool) -> str:
    import json

    return json.dumps(
        {
            "from": {"url": source.url, "tenant": plan.source_tenant},
            "to": {"url": target.url, "tenant": plan.target_tenant},
            "dryRun": dry_run,
            "isWhole": plan.is_whole,
            "kinds": [
                {
                    "kind": section.kind,
                    "toMove": plan.count(section.kind),
                    "moved": section.moved,
                    "there": section.there,
                    "left": [
                        {"reason": reason, "count": len(labels), "names": labels[:NAMES_TOLD_MAX]}
                        for reason, labels in section.left.items()
                    ],
                }
                for section in plan.sections.values()
            ],
            "notes": plan.notes,
        },
        indent=2,
    )
