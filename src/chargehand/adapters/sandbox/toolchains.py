"""Finds what has to be bound back for the programs on PATH to work: their folders and the toolchains around them.

Only what the user has set up is followed. A folder that the confined program can write to is not: a link or a
`pyvenv.cfg` that an agent left there would open whatever it names.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from chargehand.adapters.process.paths import is_file, is_folder, is_there
from chargehand.adapters.sandbox.layout import Access, Outline
from chargehand.adapters.sandbox.places import real_homes, trail

__all__ = ["home_variables", "open_tools", "search_path", "shebang"]

# A folder of programs belongs to the folder above it when that one looks like an installation.
PROGRAM_FOLDERS = frozenset({"bin", "sbin", "shims", "libexec", "scripts", ".bin"})
INSTALLATION_SIGNS = (
    "pyvenv.cfg", "conda-meta", "lib", "lib64", "libexec", "versions", "installs", "toolchains", "tools", "jre",
)  # fmt: skip
TOOL_VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX", "JAVA_HOME", "GOROOT", "NODE_PATH")
FILE_VARIABLES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT",
)  # fmt: skip
# Version managers that look below HOME, which is private: variable, folder below the real home, needed when this
# folder (below the real home) is on PATH.
MANAGERS = (
    ("RUSTUP_HOME", ".rustup", ".cargo/bin"),
    ("PYENV_ROOT", ".pyenv", ".pyenv/shims"),
    ("RBENV_ROOT", ".rbenv", ".rbenv/shims"),
    ("NODENV_ROOT", ".nodenv", ".nodenv/shims"),
    ("VOLTA_HOME", ".volta", ".volta/bin"),
    ("ASDF_DATA_DIR", ".asdf", ".asdf/shims"),
    ("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python", ".local/bin"),
)
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
MOST_ANCESTORS = 6
MOST_LINKS = 40
SHEBANG_BYTES = 256


def search_path(env: Mapping[str, str], workspace: Path) -> list[Path]:
    """The folders of PATH; relative ones belong to the workspace."""
    return [workspace / (name or ".") for name in env.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")]


def home_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that lead version managers to the real home's toolchains, for those that `env` does not set.

    Their programs would look below HOME, which is a private folder.
    """
    on_path = set(env.get("PATH", "").split(":"))
    found: dict[str, str] = {}
    for home in real_homes():
        for variable, folder, sign in MANAGERS:
            if variable not in env and str(home / sign) in on_path and is_folder(home / folder):
                found.setdefault(variable, str(home / folder))
    return found


def open_tools(
    outline: Outline, argv: Sequence[str], env: Mapping[str, str], workspace: Path, *, also: Sequence[str] = ()
) -> None:
    """Bind back what the programs of PATH, of the environment, of `argv` and of `also` need."""
    tools = _Tools(outline)
    folders = search_path(env, workspace)
    for folder in folders:
        tools.open_folder(folder)
    for folder in folders:
        tools.open_linked(folder)
    for name, value in {**env, **home_variables(env)}.items():
        if value.startswith("/") and (name in TOOL_VARIABLES or any(name == manager[0] for manager in MANAGERS)):
            tools.open_root(Path(value))
        elif value.startswith("/") and name in FILE_VARIABLES:
            tools.open_file(Path(value))
    for program in (*argv[:1], *also):
        tools.open_program(_program(program, folders))
    for word in _words(argv):
        tools.open_argument(Path(word))


class _Tools:
    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._layout = outline.layout

    def _is_trusted(self, path: Path) -> bool:
        return not self._layout.writable(path)

    def open_folder(self, folder: Path) -> None:
        """A folder of programs, and the installation it belongs to."""
        if not is_folder(folder) or not self._is_trusted(folder):
            return
        real = trail(folder).real
        self._outline.keep_links(folder)
        self._open_installation(real)
        if self._outline.may_bind(real):
            self._outline.open(real)

    def open_linked(self, folder: Path) -> None:
        """What the links in a folder of programs point to."""
        if not self._is_trusted(folder):
            return
        real = trail(folder).real
        with suppress(OSError):
            led_to = _led_to(real, real.stat().st_mtime_ns)
            hidden = [names for place, names in led_to.items() if self._layout.access(place) is Access.NONE]
            for name in sorted(set().union(*hidden)):
                self.open_file(real / name, whole_folder=True)

    def open_root(self, root: Path) -> None:
        """An installation that is known by its root."""
        if not is_folder(root) or not self._is_trusted(root):
            return
        real = trail(root).real
        self._outline.keep_links(root)
        if self._outline.may_bind(real):
            self._outline.open(real)
        self._open_base(real)

    def open_program(self, path: Path | None) -> None:
        """A program, its folder, its installation and the interpreter that its first line names."""
        if path is None:
            return
        self.open_file(path, whole_folder=True)
        interpreter = shebang(path) if self._is_trusted(path) else ""
        if interpreter.startswith("/"):
            self.open_file(Path(interpreter), whole_folder=True)

    def open_argument(self, path: Path) -> None:
        """A file named by its absolute path; its folder comes with it unless that is more than a tool's."""
        with suppress(OSError):
            if stat.S_ISREG(path.stat().st_mode):
                self.open_file(path, whole_folder=True)

    def open_file(self, path: Path, *, whole_folder: bool = False) -> None:
        """A file with every link on the way to it."""
        if not self._is_trusted(path) or self._layout.sees(path) or not is_there(path):
            return
        real = trail(path).real
        self._outline.keep_links(path)
        # a program of a virtual environment is a link: the environment is where it stands, not where it leads
        for folder in dict.fromkeys((trail(path.parent).real, real.parent)) if whole_folder else ():
            self._open_installation(folder)
            if self._outline.may_bind(folder):
                self._outline.open(folder)
        self._outline.open(real)

    def _open_installation(self, folder: Path) -> None:
        root = self._installation_of(folder)
        if root is not None:
            self._outline.open(root)
            self._open_base(root)

    def _installation_of(self, folder: Path) -> Path | None:
        outermost = None
        for place in (folder, *folder.parents):
            if place.name == "node_modules":
                outermost = place
        if outermost is not None and self._outline.may_bind(outermost):
            return outermost
        for root in folder.parents[:MOST_ANCESTORS]:
            if not self._outline.may_bind(root):
                break
            if is_file(root / "pyvenv.cfg"):
                return root
        root = folder.parent
        is_installed = folder.name in PROGRAM_FOLDERS and any(is_there(root / sign) for sign in INSTALLATION_SIGNS)
        return root if is_installed and self._outline.may_bind(root) else None

    def _open_base(self, root: Path) -> None:
        """The Python below a virtual environment."""
        if not self._is_trusted(root):
            return
        with suppress(OSError), (root / "pyvenv.cfg").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "home" and value.strip().startswith("/"):
                    self.open_folder(Path(value.strip()))


@lru_cache(maxsize=256)
def _led_to(folder: Path, _changed_ns: int) -> dict[Path, frozenset[str]]:
    """For each folder that links of `folder` lead to or over: the names of these links."""
    found: dict[Path, set[str]] = {}
    real_folders: dict[str, Path] = {}
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_symlink()]
    for name in names:
        place = os.fspath(folder / name)
        for _ in range(MOST_LINKS):
            try:
                target = os.path.join(os.path.dirname(place), os.readlink(place))  # noqa: PTH115, PTH118, PTH120
            except OSError:
                break
            above, _, last = target.rpartition("/")
            real = real_folders.get(above)
            if real is None:
                real = real_folders[above] = trail(Path(above)).real
            found.setdefault(real, set()).add(name)
            place = f"{real}/{last}"
    return {place: frozenset(linked) for place, linked in found.items()}


def _program(name: str, folders: Sequence[Path]) -> Path | None:
    if "/" in name:
        return Path(name) if name.startswith("/") else None
    found = (folder / name for folder in folders if os.access(folder / name, os.X_OK))
    return next(found, None)


def shebang(path: Path) -> str:
    """The interpreter that the first line of a script names, or an empty string."""
    try:
        with path.open("rb") as file:
            first = file.read(SHEBANG_BYTES).split(b"\n")[0]
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        return ""
    words = first[2:].split()
    return os.fsdecode(words[0]) if words else ""


def _words(argv: Sequence[str]) -> Iterator[str]:
    """Absolute paths among the arguments: words, values of `--option=`, the program of a shell's `-c` text."""
    texts = list(argv[1:])
    if len(argv) > 2 and Path(argv[0]).name in SHELLS and argv[1] == "-c":
        with suppress(ValueError):
            texts[1:2] = shlex.split(argv[2])[:1]
    for text in texts:
        word = text.partition("=")[2] if text.startswith("-") else text
        if word.startswith("/") and "\n" not in word and "\0" not in word:
            yield word
