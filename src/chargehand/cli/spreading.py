"""`--only a b c`: an option that takes words until the next option, as people write it (SPEC 10.1)."""

from __future__ import annotations

from collections.abc import Sequence

import click

__all__ = ["OnlyCommand", "spread"]


class OnlyCommand(click.Command):
    """A command whose `--only` may be followed by several words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its words, then go on as usual."""
        takes_value = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag and not param.count
            for name in param.opts
        }
        return super().parse_args(ctx, spread(args, "--only", takes_value))


def spread(args: Sequence[str], option: str, takes_value: set[str]) -> list[str]:
    """`plan --only a b` → `plan --only a --only b`.

    Only the first word after the option belongs to it when the plan has not been named before: the next word is
    then the plan.
    """
    spread_out: list[str] = []
    words = iter(range(len(args)))
    named = False
    spreading = False
    for number in words:
        word = args[number]
        if word == "--":
            return [*spread_out, *args[number:]]
        if word.startswith("-") and word != "-":
            spread_out.append(word)
            spreading = word == option
            if word in takes_value and number + 1 < len(args):
                spread_out.append(args[next(words)])
        elif spreading and named:
            spread_out += [option, word]
        else:
            spread_out.append(word)
            named, spreading = True, False
    return spread_out
