"""From a confinement and an argv to the rules both sandboxes enforce, and to the reason when it cannot be run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from chargehand.adapters.process import is_for_loader, launcher_prefix
from chargehand.adapters.process.paths import is_file, is_folder, is_there
from chargehand.adapters.sandbox.credentials import credential_files
from chargehand.adapters.sandbox.layout import Access, Layout, outline
from chargehand.adapters.sandbox.places import trail
from chargehand.adapters.sandbox.sockets import pathname_sockets
from chargehand.adapters.sandbox.toolchains import home_variables, open_tools, search_path, shebang
from chargehand.adapters.sandbox.values import Confinement

__all__ = ["launcher_argv", "layout_for", "loader_options", "why_not"]


def layout_for(argv: Sequence[str], confinement: Confinement) -> Layout:
    """Everything that is out of reach, readable and writable while `argv` runs."""
    found = outline(confinement)
    layout = found.layout
    open_tools(found, argv, confinement.env, confinement.workspace, also=confinement.also)
    for root in [path for path, access in layout.rules.items() if access is Access.READ and is_folder(path)]:
        for path in credential_files(root):
            if layout.access(path) is Access.READ:
                layout.add(path, Access.NONE)
    for path in (trail(path).real for path in pathname_sockets()):
        if layout.access(path) is not Access.NONE:
            layout.add(path, Access.NONE)
    return layout


def launcher_argv(options: Sequence[str], argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
    """The launcher in front of `argv`, with the variables that version managers need."""
    variables = (f"--setenv={name}={value}" for name, value in home_variables(confinement.env).items())
    return (*launcher_prefix(), *options, *variables, "--", *argv)


def loader_options(confinement: Confinement) -> tuple[str, ...]:
    """Variables of the dynamic loader, which the door keeps from the launcher and the program shall have."""
    return tuple(f"--setenv={name}={value}" for name, value in confinement.env.items() if is_for_loader(name))


def find(program: str, confinement: Confinement) -> Path | None:
    """Where a program is found outside the sandbox, as execvp would; None when there is none."""
    workspace = confinement.workspace
    if "/" in program:
        places = [workspace / program]
    else:
        places = [folder / program for folder in search_path(confinement.env, workspace)]
    return next((place for place in places if is_file(place) and os.access(place, os.X_OK)), None)


def why_not(argv: Sequence[str], confinement: Confinement, layout: Layout | None) -> str:
    """Why `argv` cannot be executed (under `layout`), as a sentence with the next step, or an empty string."""
    if not argv:
        return "There is no program to start."
    why = why_missing(argv[0], confinement)
    return why or ("" if layout is None else why_hidden(argv[0], confinement, layout))


def why_missing(program: str, confinement: Confinement) -> str:
    """Why a program cannot be executed here at all, sandbox or not."""
    found = find(program, confinement)
    if found is None:
        if "/" not in program:
            return f"The program {program} was not found on PATH: install it or name it by its full path."
        path = confinement.workspace / program
        if is_file(path):
            return f"The program {program} may not be executed: look at its permissions."
        return f"The program {program} does not exist: install it or correct its path."
    interpreter = shebang(found)
    if interpreter and not is_there(confinement.workspace / interpreter):
        return f"The program {program} could not be executed: its interpreter {interpreter} does not exist."
    return ""


def why_hidden(program: str, confinement: Confinement, layout: Layout) -> str:
    """Why a program that exists cannot be executed under `layout`."""
    found = find(program, confinement)
    if found is None:
        return ""
    interpreter = shebang(found)
    needed = [found, *([Path(interpreter)] if interpreter.startswith("/") else [])]
    hidden = next((path for path in needed if not layout.sees(path)), None)
    if hidden is None:
        return ""
    what = program if hidden is found else f"{interpreter}, the interpreter of {program},"
    return (
        f"The sandbox hides {what} at {hidden.resolve()}: put its folder on PATH or list it under `read` in [sandbox]."
    )
