"""`chargehand init`: a commented chargehand.toml and a sample plan, never over what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.domain.errors import UserError

__all__ = ["init"]

_EXAMPLES = """
chargehand init              into the repository around the current folder
chargehand init --repo DIR   into another one
"""


@command("init", examples=_EXAMPLES)
def init(call: Call) -> None:
    """Write chargehand.toml and plan.yaml, with the test command found from the project's files.

    A file that exists is left as it is.
    """
    from chargehand.cli.samples import find_commands, sample_plan, sample_settings

    root = _root(call.repo or Path.cwd())
    commands = find_commands(root)
    written, kept = [], []
    for name, text in (("chargehand.toml", sample_settings(commands)), ("plan.yaml", sample_plan(root, commands))):
        try:
            with (root / name).open("x", encoding="utf-8") as file:
                file.write(text)
            written.append(name)
        except FileExistsError:
            kept.append(name)
        except OSError as error:
            raise _unwritable(root / name, error) from error
    if call.out.json:
        call.out.document({"root": str(root), "written": written, "kept": kept})
        return
    call.out.say(*(f"wrote {root / name}" for name in written))
    call.out.say(*(f"kept  {root / name}, which was there" for name in kept))
    call.out.note("next: write your tasks into plan.yaml, then `chargehand check`")


def _unwritable(path: Path, error: OSError) -> UserError:
    from chargehand.domain.errors import UserError

    hint = "Make the folder writable, or name another repository with --repo DIR."
    return UserError(f"{path} cannot be written: {error.strerror}.", code="unwritable", hint=hint)


def _root(start: Path) -> Path:
    """The work tree around a folder; `UserError` where there is none."""
    from chargehand.domain.errors import UserError

    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    raise UserError(f"{start} is not in a git repository.", code="not_a_repository", hint="Make one first: `git init`.")
