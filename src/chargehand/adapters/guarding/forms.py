"""Which words of well-known programs name what they write, and which programs only read."""

from __future__ import annotations

from dataclasses import dataclass

from chargehand.adapters.guarding.options import names

__all__ = ["FORMS", "READERS", "Form"]


@dataclass(frozen=True, slots=True)
class Form:
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


READERS = names(
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
FORMS = {
    "sort": Form(("-o", "--output"), "kStTo"),
    "shuf": Form(("-o", "--output"), "ino"),
    "uniq": Form((), "fsw", "later"),
    "split": Form((), "abClnt", "later"),
    "csplit": Form(("-f", "--prefix"), "fbn"),
    "tree": Form(("-o",), "LPIo"),
    **dict.fromkeys(_COMPILERS, Form(("-o", "-MF", "--out-dir", "--output"), "o")),
    "javac": Form(("-d", "-s", "-h"), "dsh"),
    "ar": Form((), "", "second"),
    "strip": Form(("-o",), "oRKN", "all"),
    "objcopy": Form((), "IOBjR", "last"),
    "patchelf": Form(("--output",), "", "all"),
    "xxd": Form((), "cglos", "second"),
    "uudecode": Form(("-o", "--output-file"), "o"),
    "iconv": Form(("-o", "--output"), "fto"),
    **dict.fromkeys(("dos2unix", "unix2dos", "recode", "rename", "prename", "detox", "setfattr"), Form(words="all")),
    "openssl": Form(("-out", "-keyout", "-writerand", "-outdir", "-sess_out", "-CAserial")),
    **dict.fromkeys(("7z", "7za", "7zr", "7zz"), Form(("-o",), "", "second")),
    **dict.fromkeys(("unrar", "rar"), Form(("-op",), "", "last")),
    "cpio": Form(("-D", "--directory", "-O", "-F", "--file"), "DOFHCEIMR", "all"),
    "pax": Form(("-f",), "fbxosT", "last"),
    **dict.fromkeys(
        _PACKERS,
        Form(("-o", "--output-dir-flat"), "oSTBMD", "all", ("-c", "--stdout", "-t", "--test", "-l", "--list")),
    ),
    "zip": Form(("-O", "--out", "-b", "--temp-path"), "nOtbiPx", "first"),
    "link": Form((), "", "last"),
    "mktemp": Form(("-p", "--tmpdir"), "p", "all"),
    "ssh-keygen": Form(("-f",), "btCNPfEImnOrsVwz", "", ("-y", "-l", "-B", "-F", "-H")),
    **dict.fromkeys(("gpg", "gpg2"), Form(("-o", "--output"), "orukb")),
    "psql": Form(("-o", "--output", "-L", "--log-file"), "hUpdcfoLvFRT"),
    "pg_dump": Form(("-f", "--file"), "hUpdfnNtTFjZE"),
    "mysqldump": Form(("-r", "--result-file", "-T", "--tab"), "hurTpPw"),
    **dict.fromkeys(("sqlite3", "duckdb"), Form(("-init",), "", "first")),
    "aria2c": Form(("-d", "--dir", "-o", "--out", "-l", "--log"), "dolxsj"),
    "go": Form(("-o", "-coverprofile", "-cpuprofile", "-memprofile", "-outputdir", "-trace", "-C")),
    "cargo": Form(("--target-dir", "--out-dir", "--artifact-dir", "--root"), "jpFZC"),
    "cmake": Form(("-B", "--install-prefix", "--prefix"), "BSDGTAC"),
    **dict.fromkeys(("make", "gmake", "ninja"), Form(("-C", "--directory"), "CfIjoWl")),
    "uv": Form(("-o", "--output-file", "--target", "--cache-dir", "--directory"), "opr"),
    **dict.fromkeys(
        ("npm", "pnpm", "yarn"), Form(("--pack-destination", "--cache", "--prefix", "--cwd", "--dir"), "wpC")
    ),
    "gem": Form(("-i", "--install-dir", "-n", "--bindir"), "vsinPC"),
    **dict.fromkeys(("ed", "ex", "vi", "vim", "nvim", "emacs", "nano"), Form((), "cSu", "all", ("-R", "--readonly"))),
    "scp": Form((), "cDFiJloPSX", "last"),
    "time": Form(("-o", "--output"), "fo", "", (), True),
    "strace": Form(("-o", "--output"), "oepsauEPSIOXbn", "", (), True),
    "ltrace": Form(("-o", "--output"), "oepsaunxlDFA", "", (), True),
    "script": Form(("-O", "-B", "-T", "--log-out", "--log-io", "--log-timing"), "cEITOBmo", "first", (), False),
    "hyperfine": Form(("--export-json", "--export-csv", "--export-markdown", "--output"), "wmrpsLno"),
}
