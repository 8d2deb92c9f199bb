"""`chargehand completion`: the script that teaches a shell our commands and options."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, command

__all__ = ["completion"]

_EXAMPLES = """
chargehand completion bash >> ~/.bashrc
chargehand completion zsh >> ~/.zshrc
chargehand completion fish > ~/.config/fish/completions/chargehand.fish
"""


@command("completion", examples=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(call: Call, shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    from chargehand.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    script = kind(cli, {}, "chargehand", "_CHARGEHAND_COMPLETE").source()
    if call.out.json:
        call.out.document({"shell": shell, "script": script})
    else:
        click.echo(script)
