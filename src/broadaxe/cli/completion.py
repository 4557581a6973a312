"""`broadaxe completion`: what makes a shell complete commands and flags after Tab."""

from __future__ import annotations

import click

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")
#: By this variable the script asks the command what may come next.
VARIABLE = "_BROADAXE_COMPLETE"


@click.command(short_help="Print what makes your shell complete commands.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete the commands and flags of broadaxe after Tab.

    \b
    Examples:
      broadaxe completion bash > ~/.local/share/bash-completion/completions/broadaxe
      broadaxe completion zsh > ~/.zfunc/_broadaxe
      broadaxe completion fish > ~/.config/fish/completions/broadaxe.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    assert kind is not None, f"click does not know {shell}"
    script = kind(root, {}, "broadaxe", VARIABLE)
    # Not `source()`: that asks the shell of this machine for its version, and the script may be for another.
    click.echo(script.source_template % script.source_vars())
