"""Programs that remove, overwrite, move, or change files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import Options, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot, is_secret_file
from chargehand.adapters.guarding.scope import SOMETHING, Out

__all__ = ["FILES", "patched"]

_REMOVERS = frozenset({"rm", "unlink", "shred", "rmdir", "srm", "trash", "wipe"})
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def _rm(call: Call, look: Look) -> None:
    options = read_options(call.args)
    look.deletes(options.rest, call, whole=options.has("-r", "-R", "--recursive"))


def _rimraf(call: Call, look: Look) -> None:
    """`rimraf`, `del`: from the packages of a project."""
    if program(call.argv[0]) == "shx":
        look.again(call.args, call)
    elif "--dry-run" not in call.args:
        options = read_options(call.args, long=("--max-retries", "--backoff", "--impl"))
        look.deletes(options.rest, call, whole=True)


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
        look.reads(path, call)
        spot = look.spot(path, call)
        if spot is Spot.OUTSIDE:
            look.report("delete_outside", call)
        elif spot in {Spot.ROOT, Spot.GIT}:
            look.report("delete_recursive", call, inside=True)
    _put(taken, put, call, look, append=options.has("-n", "--no-clobber"))


def _cp(call: Call, look: Look) -> None:
    options = read_options(call.args, short="tSgmo", long=("--target-directory", "--suffix", "--mode", "--owner"))
    taken, put = _targets(options)
    if program(call.argv[0]) == "install" and options.has("-d", "--directory"):
        taken, put = (), options.rest
    whole = options.has("-r", "-R", "-a", "--recursive", "--archive")
    for path in taken:
        look.reads_below(path, call) if whole else look.reads(path, call)
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
    for path in taken:
        look.reads_below(path, call)
    for target in put:
        look.writes(target, call, follow=False)
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
    options = read_options(call.args, short="srl", long=("--size", "--reference"))
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


def _find(call: Call, look: Look) -> Out | None:
    words = list(call.args)
    while words and re.fullmatch(r"-[HLP]|-O\d|-D", words[0]):
        words.pop(0)
    roots = []
    while words and not re.match(r"[-(!]", words[0]):
        roots.append(words.pop(0))
    roots = roots or ["."]
    if UNKNOWN in words or any(UNKNOWN in word and word.startswith("-") for word in words):
        look.report("delete_unknown", call, why="What find is to do cannot be told from the command.")
    found = _found_secrets(roots, words, call, look)
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
            _find_exec(words[at:end], roots, call, look, found)
            at = end + 1
    secrets = [path for path in found if is_secret_file(path)]
    return Out(text="".join(f"{path}\n" for path in secrets)) if secrets else None


def _found_secrets(roots: list[str], words: list[str], call: Call, look: Look) -> list[str]:
    """What `-name` asks for, where it is one name, or names secrets; in a HOME asking for those is enough."""
    asked = {"-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename"}
    named = [words[at + 1] for at, word in enumerate(words[:-1]) if word in asked]
    secrets = [name for name in named if is_secret_file(name)]
    found = [f"{root.rstrip('/')}/**/{name.lstrip('*/')}" for root in roots for name in secrets]
    if not found and len(named) == 1 and not {"-o", "-or", "!", "-not", ","} & set(words):
        return [f"{root.rstrip('/')}/**/{named[0].lstrip('/')}" for root in roots]
    if found and any(look.place.holds_home(root, cwd) for root in roots for cwd in call.scope.cwds):
        look.report("secret_file", call, why="It looks for files with secrets in a HOME.")
    return found


def _find_exec(inner: list[str], roots: list[str], call: Call, look: Look, found: Sequence[str] = ()) -> None:
    if not inner:
        return
    if program(inner[0]) in _REMOVERS:
        look.deletes(roots, call, whole=True)
    for path in found or [f"{root.rstrip('/')}/**" for root in roots]:
        look.again([word.replace("{}", path) for word in inner], call)


def _fd(call: Call, look: Look) -> None:
    for name in ("-x", "-X", "--exec", "--exec-batch"):
        if name in call.args:
            at = call.args.index(name)
            inner = [word for word in call.args[at + 1 :] if word != ";"]
            inner = inner if any("{" in word for word in inner) else [*inner, "{}"]
            asked = read_options(call.args[:at], short="deEtSgj").rest
            roots = [*asked[1:]] or ["."]
            secrets = (
                [f"{root.rstrip('/')}/**/{asked[0]}" for root in roots if is_secret_file(asked[0])] if asked else []
            )
            _find_exec(inner, roots, call, look, secrets)


def _tar(call: Call, look: Look) -> None:
    options = read_options(
        _tar_words(call.args),
        short="fCIFTXbKNVgL",
        long=(
            *("--file", "--directory", "--to-command", "--use-compress-program", "--one-top-level", "--index-file"),
            *("--listed-incremental", "--exclude", "--transform", "--xform", "--owner", "--group", "--mode"),
        ),
    )
    for path in options.values("--index-file", "-g", "--listed-incremental", "--volno-file"):
        look.writes(path, call)
    for text in options.values("--to-command", "-I", "--use-compress-program", "-F", "--info-script", "--rsh-command"):
        look.shell(text, call)
    for action in options.values("--checkpoint-action"):
        if action.startswith("exec="):
            look.shell(action[5:], call)
    if options.has("--remove-files"):
        look.deletes(options.rest, call, whole=True)
    if options.has("-x", "--extract", "--get"):
        for folder in options.values("-C", "--directory", "--one-top-level"):
            look.writes(folder, call, append=True)
        if options.has("-P", "--absolute-names"):
            look.report("overwrite_unknown", call)
    elif options.has("-c", "--create", "-r", "-u", "--append", "-A", "--catenate", "--concatenate", "--delete"):
        for archive in options.values("-f", "--file"):
            look.writes(archive, call) if archive != "-" else None
        for path in options.rest:
            for folder in (".", *options.values("-C", "--directory")):
                look.reads_below(path if path.startswith(("/", "~")) else f"{folder}/{path}", call)


def _tar_words(args: tuple[str, ...]) -> list[str]:
    """The oldest form has no dash, and the values of its letters stand behind it in order (`tar xfC a.tar dir`)."""
    if not args or not re.fullmatch(r"[A-Za-z]+", args[0]):
        return list(args)
    words, waiting = [], list(args[1:])
    for letter in args[0]:
        words.append(f"-{letter}")
        if letter in "fCIFTXbKNVgL" and waiting:
            words.append(waiting.pop(0))
    return words + waiting


def _unzip(call: Call, look: Look) -> None:
    for folder in read_options(call.args, short="dxP").values("-d"):
        look.writes(folder, call)


def _zip(call: Call, look: Look) -> None:
    options = read_options(call.args, short="nOtbiPx", long=("-TT", "--unzip-command"))
    for text in options.values("--unzip-command"):
        look.shell(text, call)
    if "-TT" in call.args:
        look.shell(" ".join(call.args[call.args.index("-TT") + 1 :][:1]), call)
    if options.has("-r", "--recurse-paths"):
        for path in options.rest[1:]:
            look.reads_below(path, call)
    if options.has("-m", "--move"):
        look.deletes(options.rest[1:], call, whole=True)


_RSYNC_LONG = (
    *("--rsh", "--exclude", "--include", "--files-from", "--log-file", "--backup-dir", "--partial-dir", "--temp-dir"),
    *("--write-batch", "--rsync-path", "--exclude-from", "--include-from"),
)


def _rsync(call: Call, look: Look) -> None:
    words = [word for word in call.args if word != "--backup"]
    options = read_options(words, short="efMT", long=_RSYNC_LONG)
    for text in options.values("-e", "--rsh", "--rsync-path"):
        look.shell(text, call)
    for path in options.rest:
        host = re.match(r"(?:rsync://|(?:[^/:]+@)?)([^/:]+):", path)
        if host is not None or path.startswith("rsync://"):
            look.host(host[1] if host is not None else path[8:].partition("/")[0], call)
    for path in options.rest[:-1]:
        look.reads_below(path, call)
    if options.has("-n", "--dry-run"):
        return
    for path in options.values("--log-file", "--backup-dir", "--partial-dir", "-T", "--temp-dir", "--write-batch"):
        look.writes(path, call, append=True)
    target = options.rest[-1:]
    if any(name.startswith(("--del", "--remove-source-files")) for name, _ in options.given):
        look.report("delete_recursive", call, inside=True)
        look.deletes([one for one in target if ":" not in one], call, whole=True)
    for path in target:
        look.writes(path, call) if ":" not in path else look.report("upload", call)


def _patch(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="dipoBDFrVYzg", long=("--directory", "--input", "--output", "--reject-file", "--prefix")
    )
    named = options.values("-d", "--directory", "-o", "--output", "-r", "--reject-file", "-B", "--prefix")
    for path in (*named, *options.rest[:1]):
        look.writes(path, call, append=True)


def _apply_patch(call: Call, look: Look) -> None:
    """The patches of Codex, in their own form."""
    text = "\n".join(call.args) + ("\n" + call.feed.text if call.feed is not None and call.feed.text else "")
    written, deleted = patched(text)
    for path in written:
        look.writes(path, call)
    look.deletes(deleted, call, whole=False)


_PATCHED = re.compile(
    r"^[^\S\n]*\*\*\*[^\S\n]*(add[^\S\n]*file|update[^\S\n]*file|delete[^\S\n]*file|move[^\S\n]*to)[^\S\n]*:(.*)$",
    re.MULTILINE | re.IGNORECASE,
)


def patched(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths that a patch in the form of Codex writes, and those it deletes; spaces and case are taken loosely."""
    found = [(verb.lower().startswith("delete"), path.strip()) for verb, path in _PATCHED.findall(text)]
    return tuple(path for gone, path in found if not gone), tuple(path for gone, path in found if gone)


FILES: dict[str, Handler] = {
    "rm": _rm,
    "unlink": _rm,
    "srm": _rm,
    "rmdir": _rmdir,
    **dict.fromkeys(("rimraf", "del-cli", "del", "shx"), _rimraf),
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
