"""Programs that remove, overwrite, move, or change files."""

from __future__ import annotations

import re

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import Options, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.scope import SOMETHING, Out

__all__ = ["FILES"]

_REMOVERS = frozenset({"rm", "unlink", "shred", "rmdir", "srm", "trash", "wipe"})
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def _rm(call: Call, look: Look) -> None:
    options = read_options(call.args)
    look.deletes(options.rest, call, whole=options.has("-r", "-R", "--recursive"))


def _rmdir(call: Call, look: Look) -> None:
    for path in read_options(call.args).rest:
        if look.spot(path, call) is Spot.OUTSIDE:
            look.report("delete_outside", call)


def _shred(call: Call, look: Look) -> None:
    options = read_options(call.args, short="ns", long=("--iterations", "--size", "--random-source"))
    look.report("destroy_content", call, inside=True)
    look.deletes(options.rest, call, whole=False)


def _targets(options: Options) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is taken, and where it goes, of `mv`, `cp`, `install` and `ln`."""
    folders = tuple(options.values("-t", "--target-directory"))
    if folders:
        return options.rest, folders
    return options.rest[:-1], options.rest[-1:]


def _mv(call: Call, look: Look) -> None:
    options = read_options(call.args, short="tS", long=("--target-directory", "--suffix"))
    taken, put = _targets(options)
    for path in taken:
        spot = look.spot(path, call)
        if spot is Spot.OUTSIDE:
            look.report("delete_outside", call)
        elif spot in {Spot.ROOT, Spot.GIT}:
            look.report("delete_recursive", call, inside=True)
    _put(taken, put, call, look, append=options.has("-n", "--no-clobber"))


def _cp(call: Call, look: Look) -> None:
    options = read_options(call.args, short="tSgmo", long=("--target-directory", "--suffix", "--mode", "--owner"))
    taken, put = _targets(options)
    for path in taken:
        look.reads(path, call)
    _put(taken, put, call, look, append=options.has("-n", "--no-clobber"))


def _put(taken: tuple[str, ...], put: tuple[str, ...], call: Call, look: Look, *, append: bool) -> None:
    for target in put:
        look.writes(target, call, append=append)
        for path in taken:
            look.writes(f"{target.rstrip('/')}/{program(path)}", call, append=append)
            known = look.script(path, call)
            if known is not None and call.feed is not known:
                for cwd in call.scope.cwds:
                    call.scope.wrote(look.place.full(target, cwd), known)


def _ln(call: Call, look: Look) -> None:
    options = read_options(call.args, short="tS", long=("--target-directory", "--suffix"))
    taken, put = _targets(options)
    if len(options.rest) == 1 and not options.has("-t", "--target-directory"):
        taken, put = options.rest, (program(options.rest[0]),)
    for target in put:
        look.writes(target, call)
        for cwd in call.scope.cwds:
            for path in taken:
                at = look.place.full(target, cwd)
                look.links[at] = look.links[f"{at}/{program(path)}"] = path


def _dd(call: Call, look: Look) -> None:
    for word in call.args:
        name, _, value = word.partition("=")
        if name == "of":
            look.writes(value, call)
        elif name == "if":
            look.reads(value, call)


def _tee(call: Call, look: Look) -> Out:
    options = read_options(call.args)
    for path in options.rest:
        look.writes(path, call, append=options.has("-a", "--append"))
        for cwd in call.scope.cwds:
            call.scope.wrote(look.place.full(path, cwd), call.feed or SOMETHING)
    return call.feed or SOMETHING


def _truncate(call: Call, look: Look) -> None:
    options = read_options(call.args, short="sr", long=("--size", "--reference"))
    for path in options.rest:
        look.writes(path, call)


def _touch(call: Call, look: Look) -> None:
    options = read_options(call.args, short="drtm", long=("--date", "--reference", "--time", "--mode"))
    for path in options.rest:
        look.writes(path, call, append=True)


def _chmod(call: Call, look: Look) -> None:
    name = program(call.argv[0])
    words = [word for word in call.args if not re.fullmatch(r"-[rwxXst]+", word)]
    options = read_options(words, long=("--reference", "--from"))
    mode = options.rest[:1]
    paths = options.rest[1:] if not options.has("--reference") and len(words) == len(call.args) else options.rest
    if any(look.spot(path, call) is Spot.OUTSIDE for path in paths) or any(
        re.search(r"s|^[2467]\d{3}$", one) for one in mode if name == "chmod"
    ):
        look.report("permissions", call)
    elif options.has("-R", "--recursive") or UNKNOWN in "".join(paths):
        look.report("permissions", call, inside=True)


def _find(call: Call, look: Look) -> None:
    words = list(call.args)
    while words and re.fullmatch(r"-[HLP]|-O\d|-D", words[0]):
        words.pop(0)
    roots = []
    while words and not re.match(r"[-(!]", words[0]):
        roots.append(words.pop(0))
    roots = roots or ["."]
    if UNKNOWN in words or any(UNKNOWN in word and word.startswith("-") for word in words):
        look.report("delete_unknown", call, why="What find is to do cannot be told from the command.")
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "-delete":
            look.deletes(roots, call, whole=True)
        elif word in {"-fprint", "-fprint0", "-fls", "-fprintf"} and at < len(words):
            look.writes(words[at], call)
        elif word in _EXEC:
            end = next((i for i in range(at, len(words)) if words[i] in {";", "+"}), len(words))
            _find_exec(words[at:end], roots, call, look)
            at = end + 1


def _find_exec(inner: list[str], roots: list[str], call: Call, look: Look) -> None:
    if not inner:
        return
    if program(inner[0]) in _REMOVERS:
        look.deletes(roots, call, whole=True)
    for root in roots:
        look.again([word.replace("{}", f"{root.rstrip('/')}/**") for word in inner], call)


def _fd(call: Call, look: Look) -> None:
    for name in ("-x", "-X", "--exec", "--exec-batch"):
        if name in call.args:
            inner = [word for word in call.args[call.args.index(name) + 1 :] if word != ";"]
            inner = inner if any("{" in word for word in inner) else [*inner, "{}"]
            _find_exec(inner, ["."], call, look)


def _tar(call: Call, look: Look) -> None:
    words = list(call.args)
    if words and re.fullmatch(r"[A-Za-z]+", words[0]):
        words[0] = "-" + words[0]
    options = read_options(
        words, short="fCIFTXbKNVgL", long=("--file", "--directory", "--to-command", "--use-compress-program")
    )
    for text in options.values("--to-command", "-I", "--use-compress-program", "-F", "--info-script", "--rsh-command"):
        look.shell(text, call)
    for action in options.values("--checkpoint-action"):
        if action.startswith("exec="):
            look.shell(action[5:], call)
    if options.has("--remove-files"):
        look.deletes(options.rest, call, whole=True)
    if options.has("-x", "--extract", "--get"):
        for folder in options.values("-C", "--directory"):
            look.writes(folder, call)
        if options.has("-P", "--absolute-names"):
            look.report("overwrite_unknown", call)
    elif options.has("-c", "--create", "-r", "-u", "--append"):
        for archive in options.values("-f", "--file"):
            look.writes(archive, call) if archive != "-" else None


def _unzip(call: Call, look: Look) -> None:
    for folder in read_options(call.args, short="dxP").values("-d"):
        look.writes(folder, call)


def _zip(call: Call, look: Look) -> None:
    options = read_options(call.args, short="nOtbiPx", long=("-TT", "--unzip-command"))
    for text in options.values("--unzip-command"):
        look.shell(text, call)
    if "-TT" in call.args:
        look.shell(" ".join(call.args[call.args.index("-TT") + 1 :][:1]), call)
    if options.has("-m", "--move"):
        look.deletes(options.rest[1:], call, whole=True)


def _rsync(call: Call, look: Look) -> None:
    options = read_options(call.args, short="efMT", long=("--rsh", "--exclude", "--include", "--files-from"))
    for text in options.values("-e", "--rsh", "--rsync-path"):
        look.shell(text, call)
    for path in options.rest:
        host = re.match(r"(?:rsync://|(?:[^/:]+@)?)([^/:]+):", path)
        if host is not None or path.startswith("rsync://"):
            look.host(host[1] if host is not None else path[8:].partition("/")[0], call)
    if options.has("-n", "--dry-run"):
        return
    target = options.rest[-1:]
    if any(name.startswith(("--del", "--remove-source-files")) for name, _ in options.given):
        look.report("delete_recursive", call, inside=True)
        look.deletes([one for one in target if ":" not in one], call, whole=True)
    for path in target:
        look.writes(path, call) if ":" not in path else look.report("upload", call)


def _patch(call: Call, look: Look) -> None:
    options = read_options(call.args, short="dipoBDFrVYzg", long=("--directory", "--input", "--output"))
    for folder in options.values("-d", "--directory", "-o", "--output"):
        look.writes(folder, call)


def _apply_patch(call: Call, look: Look) -> None:
    """The patches of Codex, in their own form."""
    text = "\n".join(call.args) + ("\n" + call.feed.text if call.feed is not None and call.feed.text else "")
    for path in re.findall(r"^\*\*\* (?:Add File|Update File|Move to): (.+)$", text, re.MULTILINE):
        look.writes(path.strip(), call)
    look.deletes(re.findall(r"^\*\*\* Delete File: (.+)$", text, re.MULTILINE), call, whole=False)


FILES: dict[str, Handler] = {
    "rm": _rm,
    "unlink": _rm,
    "srm": _rm,
    "rmdir": _rmdir,
    "shred": _shred,
    "wipe": _shred,
    "mv": _mv,
    "cp": _cp,
    "install": _cp,
    "ln": _ln,
    "dd": _dd,
    "tee": _tee,
    "sponge": _tee,
    "truncate": _truncate,
    "fallocate": _truncate,
    "touch": _touch,
    "mkdir": _touch,
    "mkfifo": _touch,
    "mknod": _touch,
    **dict.fromkeys(("chmod", "chown", "chgrp", "setfacl", "chattr"), _chmod),
    "find": _find,
    "fd": _fd,
    "fdfind": _fd,
    "tar": _tar,
    "bsdtar": _tar,
    "unzip": _unzip,
    "zip": _zip,
    "rsync": _rsync,
    "patch": _patch,
    "apply_patch": _apply_patch,
}
