"""What the words behind any program may write outside, whether or not somebody knows the program.

Options that name an output are known for many programs, and by their usual names for all others. A program nobody
lists may write whatever its words name: without a sandbox that is a question when it lies outside the workspace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chargehand.adapters.guarding.environment import look_at_environment
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot

__all__ = ["look_at_arguments"]


@dataclass(frozen=True, slots=True)
class _Form:
    """Which words of a program name what it writes.

    `outputs` are the options, `valued` the letters of all options with a value; `words`: which of the words that are
    no options (`all`, `first`, `second`, `later` than the first, `last` of several); `unless`: with one of these it
    only reads; `stop`: the first word that is no option belongs to another program.
    """

    outputs: tuple[str, ...] = ()
    valued: str = ""
    words: str = ""
    unless: tuple[str, ...] = ()
    stop: bool = False


_READERS = names(
    "cat tac head tail less more most bat batcat wc nl od hexdump hd strings file stat ls dir vdir ll exa eza lsd du "
    "df diff sdiff colordiff cmp comm md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum cksum sum md5 "
    "grep egrep fgrep zgrep xzgrep rg ag ack ugrep zcat bzcat xzcat zstdcat zless cut paste join fold fmt pr expand "
    "unexpand column tr rev seq jq yq which whereis whatis apropos man info realpath readlink dirname basename pathchk "
    "namei lsof id groups who w uptime uname hostname cal nproc free lscpu lsblk lsmod getent locale tput stty clear "
    "ldd nm objdump readelf size addr2line c++filt expr sleep yes numfmt factor bc dc tsort ptx look locate zipinfo "
    "lsattr getfacl getfattr findmnt mountpoint pgrep pidof pstree top htop vmstat iostat getconf cloc scc tokei "
    "shellcheck hadolint yamllint codespell flake8 pylint pyright mypy pytest py.test configure date otool "
    "dpkg-query pkg-config desktop-file-validate xmllint csvstat tree tig fzf kill history rustup sw_vers arch "
    "base32 base64 uuencode printf echo test [ whoami logname tty env printenv"
)
_COMPILERS = names(
    "gcc g++ cc c++ c99 clang clang++ tcc gfortran nvcc emcc ld gold lld as nasm yasm rustc swiftc kotlinc scalac dmd "
    "valac fpc zig ld.bfd ld.gold mold cython protoc flex bison yacc lex"
)
_PACKERS = names(
    "gzip gunzip bzip2 bunzip2 xz unxz lzma unlzma lz4 unlz4 zstd unzstd brotli pigz unpigz pbzip2 lzip "
    "compress uncompress"
)
_FORMS = {
    "sort": _Form(("-o", "--output"), "kStTo"),
    "shuf": _Form(("-o", "--output"), "ino"),
    "uniq": _Form((), "fsw", "later"),
    "split": _Form((), "abClnt", "later"),
    "csplit": _Form(("-f", "--prefix"), "fbn"),
    "tree": _Form(("-o",), "LPIo"),
    **dict.fromkeys(_COMPILERS, _Form(("-o", "-MF", "--out-dir", "--output"), "o")),
    "javac": _Form(("-d", "-s", "-h"), "dsh"),
    "ar": _Form((), "", "second"),
    "strip": _Form(("-o",), "oRKN", "all"),
    "objcopy": _Form((), "IOBjR", "last"),
    "patchelf": _Form(("--output",), "", "all"),
    "xxd": _Form((), "cglos", "second"),
    "uudecode": _Form(("-o", "--output-file"), "o"),
    "iconv": _Form(("-o", "--output"), "fto"),
    **dict.fromkeys(("dos2unix", "unix2dos", "recode", "rename", "prename", "detox", "setfattr"), _Form(words="all")),
    "openssl": _Form(("-out", "-keyout", "-writerand", "-outdir", "-sess_out", "-CAserial")),
    **dict.fromkeys(("7z", "7za", "7zr", "7zz"), _Form(("-o",), "", "second")),
    **dict.fromkeys(("unrar", "rar"), _Form(("-op",), "", "last")),
    "cpio": _Form(("-D", "--directory", "-O", "-F", "--file"), "DOFHCEIMR", "all"),
    "pax": _Form(("-f",), "fbxosT", "last"),
    **dict.fromkeys(
        _PACKERS,
        _Form(("-o", "--output-dir-flat"), "oSTBMD", "all", ("-c", "--stdout", "-t", "--test", "-l", "--list")),
    ),
    "zip": _Form(("-O", "--out", "-b", "--temp-path"), "nOtbiPx", "first"),
    "link": _Form((), "", "last"),
    "mktemp": _Form(("-p", "--tmpdir"), "p", "all"),
    "ssh-keygen": _Form(("-f",), "btCNPfEImnOrsVwz", "", ("-y", "-l", "-B", "-F", "-H")),
    **dict.fromkeys(("gpg", "gpg2"), _Form(("-o", "--output"), "orukb")),
    "psql": _Form(("-o", "--output", "-L", "--log-file"), "hUpdcfoLvFRT"),
    "pg_dump": _Form(("-f", "--file"), "hUpdfnNtTFjZE"),
    "mysqldump": _Form(("-r", "--result-file", "-T", "--tab"), "hurTpPw"),
    **dict.fromkeys(("sqlite3", "duckdb"), _Form(("-init",), "", "first")),
    "aria2c": _Form(("-d", "--dir", "-o", "--out", "-l", "--log"), "dolxsj"),
    "go": _Form(("-o", "-coverprofile", "-cpuprofile", "-memprofile", "-outputdir", "-trace")),
    "cargo": _Form(("--target-dir", "--out-dir", "--artifact-dir", "--root"), "jpFZC"),
    "cmake": _Form(("-B", "--install-prefix", "--prefix"), "BSDGTAC"),
    "time": _Form(("-o", "--output"), "fo", "", (), True),
    "strace": _Form(("-o", "--output"), "oepsauEPSIOXbn", "", (), True),
    "ltrace": _Form(("-o", "--output"), "oepsaunxlDFA", "", (), True),
    "script": _Form(("-O", "-B", "-T", "--log-out", "--log-io", "--log-timing"), "cEITOBmo", "first", (), False),
    "hyperfine": _Form(("--export-json", "--export-csv", "--export-markdown", "--output"), "wmrpsLno"),
}
_OUTPUT = re.compile(
    r"--?(?:out|outfile|outdir|outputs?|(?:out|output|report|log|dump|result|target|dest|build|artifacts?|coverage)[-_]?"
    r"(?:file(?:name)?|dir(?:ectory)?|path|folder|to)|dest|destination|logfile|junit-?xml|basetemp|save(?:-(?:to|as))?"
    r"|export(?:-(?:to|file|filename))?|install-(?:dir|prefix))",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"--?(?:I|L|isystem|iquote|include\S*|config(?:-?(?:file|path|dir))?|rcfile|sysroot|input\S*|from|source|src|schema|load|import"
    r"|require|interpreter|python\S*|ca\S*|cert\S*|ignore-path|exclude\S*|template|theme|plugin\S*|filter\S*|format|prefix)",
    re.IGNORECASE,
)
_PATH = re.compile(r"/|~|\.\.(?:/|$)|.*/\.\.(?:/|$)")
_DESTINATION = re.compile(r"(?:DESTDIR|PREFIX|O|OUT\w*|BUILD\w*|\w*DIR)", re.IGNORECASE)
_GIT_OUTPUTS = {
    "format-patch": ("-o", "--output-directory", "--output"),
    "apply": ("--directory",),
    "am": ("--directory",),
    "archive": ("-o", "--output"),
    "mailsplit": ("-o",),
    "checkout-index": ("--prefix",),
    "read-tree": ("--prefix", "--index-output"),
    "fast-export": ("--export-marks",),
    "bugreport": ("-o", "--output-directory"),
    "diagnose": ("-o", "--output-directory"),
    "difftool": (),
    "clone": ("--separate-git-dir",),
    "init": ("--separate-git-dir",),
}


def look_at_arguments(name: str, call: Call, look: Look, *, known: bool) -> None:
    """Report what the words would write outside; `known`: a handler of its own looks at the program as well."""
    look_at_environment(name, call, look)
    _searched(name, call, look)
    form = _FORMS.get(name)
    if form is not None:
        _formed(form, call, look)
    elif name == "git":
        _git(call, look)
    elif name in {"make", "gmake", "ninja"}:
        _make(call, look)
    elif not known:
        _anything(call, look, reader=name in _READERS)


def _formed(form: _Form, call: Call, look: Look) -> None:
    words: Sequence[str] = call.args
    if form.stop:
        rest = read_options(words, short=form.valued, stop=True).rest
        words = words[: len(words) - len(rest)]
    options = read_options(words, short=form.valued, long=[one for one in form.outputs if one.startswith("--")])
    if options.has(*form.unless):
        return
    for path in _values(words, form.outputs):
        look.writes(path, call)
    rest = options.rest
    if form.outputs and any(len(one) > 2 and not one.startswith("--") for one in form.outputs):
        rest = read_options(words, long=form.outputs, single=True).rest
    chosen = {
        "all": rest,
        "first": rest[:1],
        "second": rest[1:2],
        "later": rest[1:],
        "last": rest[-1:] if len(rest) > 1 else (),
    }.get(form.words, ())
    for path in chosen:
        if path != "-" and look.spot(path, call) is Spot.OUTSIDE:
            look.writes(path, call)


def _values(words: Sequence[str], outputs: Sequence[str]) -> Iterator[str]:
    """What the options name: in the next word, behind `=`, attached, or behind others of one letter (`-uo x`)."""
    for at, word in enumerate(words):
        if word == "--":
            return
        following = words[at + 1] if at + 1 < len(words) else ""
        for option in outputs:
            if word == option:
                if following and following != "-":
                    yield following
            elif option.startswith("--"):
                name, equals, value = word.partition("=")
                if equals and len(name) > 4 and option.startswith(name):
                    yield value
                elif word.startswith("--") and len(word) > 4 and option.startswith(word) and following:
                    yield following
            elif word.startswith(option + "="):
                yield word[len(option) + 1 :]
            elif len(option) == 2 and re.match(r"-\w", word):
                attached = re.match(rf"-\w*?{option[1]}((?:/|~|\.\.?/|\.\.$|{UNKNOWN}).*)", word, re.DOTALL)
                if attached is not None:
                    yield attached[1]
                elif re.fullmatch(rf"-[a-zA-Z]{{1,3}}{option[1]}", word) and _PATH.match(following):
                    yield following


_SEARCHERS = names("rg ag ack ugrep zgrep 7z 7za 7zr 7zz rclone scp")


def _searched(name: str, call: Call, look: Look) -> None:
    """Programs that read whole folders: a HOME must not be among them."""
    recursive = name in _SEARCHERS or (
        name in {"grep", "egrep", "fgrep"}
        and read_options(call.args, short="efABCmd", long=("--regexp", "--file")).has(
            "-r", "-R", "--recursive", "--dereference-recursive"
        )
    )
    if recursive:
        for path in read_options(call.args, short="efABCmtgTjo").rest[0 if name == "scp" else 1 :]:
            look.reads_below(path, call)


def _git(call: Call, look: Look) -> None:
    options = read_options(call.args, short="cC", long=("--git-dir", "--work-tree", "--namespace"), stop=True)
    verb, words = (options.rest[0], options.rest[1:]) if options.rest else ("", ())
    for path in _values(words, (*_GIT_OUTPUTS.get(verb, ()), "--output")):
        look.writes(path, call)
    rest = read_options(words, short="bBomcuj").rest
    if verb in {"hash-object", "show", "cat-file", "grep"} or "--no-index" in words:
        for word in rest:
            look.reads(word.rpartition(":")[2], call)
    if verb == "bundle" and rest[:1] == ("create",):
        targets = rest[1:2]
    elif verb == "worktree" and rest[:1] in {("add",), ("move",)}:
        targets = tuple(word for word in rest[1:] if _PATH.match(word))
    elif verb == "init":
        targets = rest[:1]
    elif verb == "submodule" and rest[:1] == ("add",):
        targets = rest[2:3]
    else:
        targets = ()
    for path in targets:
        if path != "-":
            look.writes(path, call, append=verb != "bundle")


def _make(call: Call, look: Look) -> None:
    for word in call.args:
        name, equals, value = word.partition("=")
        if equals and _DESTINATION.fullmatch(name) and _PATH.match(value) and look.spot(value, call) is Spot.OUTSIDE:
            look.writes(value, call)


def _anything(call: Call, look: Look, *, reader: bool) -> None:
    """A program nobody lists: outputs by their usual names are written, everything else its words name perhaps."""
    before = ""
    for word in call.args:
        option, value = _split(word, before)
        before = word if word.startswith("-") and "=" not in word else ""
        if not _PATH.match(value) or look.spot(value, call) is not Spot.OUTSIDE:
            continue
        if _OUTPUT.fullmatch(option) or (option == "-o" and not reader):
            look.writes(value, call)
        elif not reader and not _INPUT.fullmatch(option) and not value.startswith("//"):
            why = "Its words name something outside the workspace, which it may write."
            look.report("overwrite_outside", call, inside=True, why=why)


def _split(word: str, before: str) -> tuple[str, str]:
    """The option (or name) a value belongs to, and the value: `--opt=value`, `-oVALUE`, `name=value`, or a word."""
    attached = re.match(r"(-\w)((?:/|~|\.\./).*)", word, re.DOTALL)
    if attached is not None:
        return attached[1], attached[2]
    named = re.match(r"(-{0,2}[A-Za-z][\w.-]*)[=:](.*)", word, re.DOTALL)
    if named is not None and "://" not in word:
        return (named[1] if named[1].startswith("-") else "--" + named[1]), named[2]
    return before, word.removeprefix("@")
