"""Programs that start others, with so many ways to call them that no table of options holds.

Every word of theirs that is the name of a program may be the one (`programs.py`). What is not a list here is a
program nobody knows, and treated with more suspicion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from chargehand.adapters.guarding.known import is_standard_folder
from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.variables import look_at_variable

__all__ = ["RUNNERS", "RUNS", "STARTERS", "STARTING", "SURE", "look_at_options"]

STARTERS = names(
    "kcov nyc c8 ccache sccache distcc icecc libtool emmake emcmake help2man bear intercept-build scan-build "
    "compiledb perf valgrind rr uftrace heaptrack memusage catchsegv sprof ltrace strace dtruss gdbserver rlwrap "
    "unbuffer setarch linux32 linux64 i386 x86_64 arch numactl prlimit chrt taskset cpulimit cgexec "
    "systemd-inhibit systemd-cat caffeinate unshare firejail bwrap nsjail minijail0 sandbox-exec proot fakeroot "
    "fakechroot pseudo schroot arch-chroot toolbox flatpak-spawn distrobox distrobox-enter distrobox-host-exec "
    "host-spawn capsh setpriv runcon sg newgrp start-stop-daemon daemonize daemon chpst setuidgid envuidgid "
    "envdir softlimit tini dumb-init s6-setsid s6-svscan runsv eatmydata torsocks torify proxychains proxychains4 "
    "tsocks ssh-agent dbus-launch dbus-run-session xvfb-run xinit startx faketime datefudge watchexec entr reflex "
    "nodemon onchange chokidar viddy pueue nq tsp sem pee mispipe chronic ifne zrun cross-env cross-env-shell "
    "dotenv dotenvx env-cmd envchain direnv devbox devenv guix nix-shell concurrently npm-run-all npm-run-all2 "
    "wireit foreman honcho overmind hivemind goreman multirun tmux screen zellij byobu dtach abduco wine "
    "qemu-x86_64 qemu-aarch64 qemu-arm qemu-i386 box64 hyperfine bench poop timelimit autoexpect sshpass parallel "
    "rush xe xapply gxargs vgdb mpirun mpiexec orterun srun torchrun accelerate deepspeed aws-vault sops "
    "envconsul consul-template summon teller infisical winpty py-spy scalene memray kernprof austin debugpy "
    "viztracer clinic 0x wait-for-it wait-for-it.sh dockerize waitforit run-parts run-one run-one-constantly "
    "retry flock lockf setlock chaperone"
)
"""They exist to start others: with nothing known in their words, they are as unknown as what they start."""
RUNNERS = names(
    "pm2 gotestsum ip lxc-attach mise rtx asdf rbenv pyenv nodenv goenv jenv nvm fnm volta n rvm chruby-exec opam "
    "stack cabal rustup dune mix pixi micromamba tox nox task doit invoke lerna nx turbo rush git-lfs heroku sbt "
    "lein swift xcrun spack module pants bazel wp drush dbt skaffold tilt earthly ionic ng hatch just nix"
)
"""They may start others, behind one of the words `RUNS`; `run` alone mostly means a task of the project."""
RUNS = names("exec x start run do shell with -c --command --exec --")
SURE = names("exec x do with -c --command --exec")

_OPTIONS = {
    "man": ("-P", "--pager", "-H", "--html"),
    "rg": ("--pre", "--hostname-bin"),
    "ag": ("--pager",),
    "ack": ("--pager",),
    "bat": ("--pager",),
    "batcat": ("--pager",),
    "delta": ("--pager",),
    "psql": ("--pager",),
    "mysql": ("--pager",),
    "sort": ("--compress-program",),
    "split": ("--filter",),
    "go": ("-exec", "--exec", "-toolexec", "--toolexec", "-vettool", "--vettool"),
    **dict.fromkeys(("npm", "pnpm", "yarn", "npx"), ("--script-shell", "--editor", "--viewer", "--git", "--shell")),
    "bazel": ("--run_under",),
    "bazelisk": ("--run_under",),
    "prove": ("-e", "--exec"),
    "mutmut": ("--runner",),
    "gotestsum": ("--raw-command", "--post-run-command"),
    **dict.fromkeys(("tsup", "tsc-watch"), ("--onSuccess", "--onFailure", "--onFirstSuccess")),
    "pandoc": ("--filter", "-F", "--pdf-engine"),
    "mvn": ("-Dexec.executable",),
    "mvnw": ("-Dexec.executable",),
    "fzf": ("--preview", "--with-shell"),
    "ctest": ("--build-makeprogram", "--test-command"),
    "tcpdump": ("-z",),
    "tshark": ("-z",),
    "cloc": ("--diff-cmd",),
    "nodemon": ("--exec", "-x"),
    "air": ("--build.cmd", "--build.bin", "--build.full_bin", "-build.cmd", "-build.bin", "-build.full_bin"),
    "tig": ("--pager",),
    "git": ("--upload-pack", "--receive-pack"),
    "gpg": ("--pinentry-program", "--agent-program", "--photo-viewer"),
    "zip": ("-TT", "--unzip-command"),
    "lftp": ("-e", "-c"),
    "svn": ("--editor-cmd", "--diff-cmd", "--diff3-cmd"),
    "hg": ("--ssh", "--remotecmd"),
    "gs": ("-sOutputFile",),
    "rsync": ("--rsync-path",),
}
"""Options of programs that are followed by a command."""
_SHELLS = names("npm pnpm yarn npx fzf")
_GCC = names("gcc g++ cc c++ clang clang++ gfortran")
_LATEX = names("latex pdflatex xelatex lualatex latexmk tex luatex pdftex")
_LOADING = {
    **dict.fromkeys(_GCC, r"-fplugin=|-Xclang$|-specs=|-B/"),
    **dict.fromkeys(_LATEX, r"--?shell-escape|--?enable-write18|.*\\write18|.*\\directlua|-e$|-(?:pdf|xe|lua)?latex="),
    **dict.fromkeys(
        names("mlr miller exiftool mongosh mongo"),
        r"(?s).*\b(?:system|exec|popen|os_type|require|child_process|rm\w*|unlink)\b",
    ),
    **dict.fromkeys(("ssh-keygen", "ssh-add"), r"-D$|-s$"),
    "openssl": r"-engine$|-provider(?:-path)?$",
    "rustc": r"-Clinker=|linker=|--?codegen=?linker=",
    "cargo": r".*\b(?:runner|linker|rustc-wrapper|rustc-workspace-wrapper|rustc|credential-provider)\s*=",
    "fzf": r".*(?:execute|become|reload|transform|preview)(?:-silent|-multi)?[(\[{:]",
}
"""Options that make a program load or run something, as patterns."""


def _values(call: Call, options: tuple[str, ...]) -> Iterator[str]:
    words = call.args
    for at, word in enumerate(words):
        for option in options:
            if word == option and at + 1 < len(words):
                yield words[at + 1]
            elif word.startswith(option + "="):
                yield word[len(option) + 1 :]
            elif len(option) == 2 and word.startswith(option) and len(word) > 2:
                yield word[2:]


def look_at_options(name: str, call: Call, look: Look) -> None:
    """Options that make a program run another one, whatever else it does."""
    for text in _values(call, _OPTIONS.get(name, ())):
        if text and (" " in text or name in _SHELLS):
            look.shell(text, call)
        elif text:  # the name of a program, which is given words of its own
            look.again((text, UNKNOWN), call)
    code = _code_in_options(name, call)
    if code is not None:
        look.again(code, call)
    if name in _LOADING and any(re.match(_LOADING[name], word) for word in call.args):
        look.report("hidden_code", call, why="One of its options runs or loads something.")
    special = _SPECIAL.get(name)
    if special is not None:
        special(call, look)


def _compiler(call: Call, look: Look) -> None:
    for text in _values(call, ("-wrapper",)):
        look.again(text.split(","), call)


def _cargo(call: Call, look: Look) -> None:
    if call.args[:1] == ("watch",):
        for text in _values(call, ("-s", "--shell")):
            look.shell(text, call)


def _tox(call: Call, look: Look) -> None:
    for text in _values(call, ("-x", "--override")):
        look.shell(text.partition("=")[2], call)


def _rake(call: Call, look: Look) -> None:
    for text in _values(call, ("-e", "-E", "-p", "--execute", "--execute-print", "--execute-continue")):
        look.again(("ruby", "-e", text), call)


def _typescript(call: Call, look: Look) -> None:
    for text in _values(call, ("-e", "-p", "--eval", "--print")):
        look.again(("node", "-e", text), call)


def _code_in_options(name: str, call: Call) -> tuple[str, ...] | None:
    """Code in the language of a framework, which a command of its own runs: as the command of the language."""
    words = call.args
    if name == "python" and words and words[0].endswith("manage.py"):
        name, words = "manage.py", words[1:]
    elif name == "php" and words and words[0].endswith("artisan"):
        name, words = "artisan", words[1:]
    verb, rest = (words[0], words[1:]) if words else ("", ())
    inner = call.of((name, *rest))
    if name in {"manage.py", "django-admin"} and verb == "shell":
        return next((("python", "-c", text) for text in _values(inner, ("-c", "--command"))), None)
    if name == "rails" and verb in {"runner", "r"}:
        text = next((word for word in rest if not word.startswith("-")), "")
        return ("ruby", "-e", text) if text and not text.endswith(".rb") else None
    if name == "artisan" and verb == "tinker":
        return next((("php", "-r", text) for text in _values(inner, ("--execute",))), None)
    if name == "mix" and verb in {"run", "eval"}:
        texts = rest[:1] if verb == "eval" else tuple(_values(inner, ("-e", "--eval")))
        return ("elixir", "-e", texts[0]) if texts else None
    if name == "wp" and verb == "eval" and rest:
        return ("php", "-r", rest[0])
    return None


def _client(call: Call, look: Look) -> None:
    """Clients of databases read commands of their own, some of which are for a shell."""
    text = call.feed.text if call.feed is not None else None
    for line in re.findall(
        r"(?:\\!|^[^\S\n]*system)\s*([^\n]+)|\\(?:o|g|w|copy[^\n]*)\s*\|\s*([^\n]+)", text or "", re.MULTILINE
    ):
        look.shell(line[0] or line[1], call)


def _settings(call: Call, look: Look) -> None:
    """`./configure CC=…`, `cmake -DCMAKE_CXX_COMPILER_LAUNCHER=…`."""
    for word in call.args:
        name, equals, value = word.partition("=")
        if equals and re.match(r"-D\w*(?:LAUNCHER|COMPILER|MAKE_PROGRAM|EMULATOR|LINT|TIDY|CPPCHECK)", name):
            look.shell(value.replace(";", " "), call)
        elif equals and re.fullmatch(r"[A-Z_]+", name):
            look_at_variable(name, value, call, look)


def _package(call: Call, look: Look) -> None:
    """Scripts of `package.json` that the command itself has put there."""
    for word in call.args:
        if re.match(r"scripts\.[\w:.-]+=", word):
            look.shell(word.partition("=")[2], call)
    if call.args[:1] == ("set-script",):
        look.shell(" ".join(call.args[2:]), call)

    def scripts(text: str) -> None:
        try:
            given = json.loads(text).get("scripts", {})
        except (ValueError, AttributeError):
            return
        for script in given.values() if isinstance(given, dict) else ():
            look.shell(str(script), call)

    known = look.script("package.json", call)
    if known is not None and known.text is not None:
        scripts(known.text)


def _outside(call: Call, look: Look) -> None:
    """Interpreters that are told to load something first."""
    words = call.args
    for at, word in enumerate(words):
        match = re.match(
            r"(?:-[rICMd]|--(?:require|import|loader|experimental-loader|preload)=?|-javaagent:|-agentpath:|-cp=?)(.*)",
            word,
        )
        if match is None:
            continue
        for path in (match[1] or (words[at + 1] if at + 1 < len(words) else "")).split(":"):
            if "/" in path and not is_standard_folder(path) and look.spot(path, call) is Spot.OUTSIDE:
                look.report("loaded_code", call, inside=True)


def _just(call: Call, look: Look) -> None:
    words = list(call.args)
    for at, word in enumerate(words):
        if word in {"--command", "-c"}:
            look.again(words[at + 1 :], call)
            return
        if word in {"-f", "--justfile"} and words[at + 1 : at + 2] and look.script(words[at + 1], call) is not None:
            look.runs(look.script(words[at + 1], call), call, lambda _: look.report("hidden_code", call))
        if word in {"--shell", "--chooser"}:
            look.shell(" ".join(words[at + 1 : at + 2]), call)


def _nix(call: Call, look: Look) -> None:
    words = list(call.args)
    for at, word in enumerate(words):
        if word in {"-c", "--command"}:
            look.again(words[at + 1 :], call)
            break
        if word in {"--expr", "-E"}:
            look.report("hidden_code", call)
    verb = next((word for word in words if not word.startswith("-")), "")
    if verb in {"run", "shell", "profile"}:
        for word in read_options(words, stop=False).rest[1:]:
            if UNKNOWN in word or re.match(r"(?:nixpkgs|flake:|github:|git\+|https?:)", word):
                bare = word.partition("#")[2].lower()
                if bare not in look.place.packages:
                    look.report("run_unnamed", call)


def _capsh(call: Call, look: Look) -> None:
    words = list(call.args)
    for mark in ("--", "=="):
        if mark in words:
            look.again(("bash", *words[words.index(mark) + 1 :]), call)


def _expect(call: Call, look: Look) -> None:
    """Code of Tcl that starts programs by `spawn`."""
    texts = list(_values(call, ("-c",)))
    if call.feed is not None and call.feed.text:
        texts.append(call.feed.text)
    for text in texts:
        look.report("hidden_code", call, why="It runs code in a language that is not read here.")
        for command in re.findall(r"(?:^|[;{\[\n])[^\S\n]*(?:spawn|exec|system)\s+(?:-\w+\s+)*([^;\n\]}]+)", text):
            look.shell(command, call)
    rest = [word for word in call.args if not word.startswith("-")]
    if not texts:
        look.runs(look.script(rest[0], call) if rest else call.feed, call, lambda _: look.report("hidden_code", call))


def _nothing_known(call: Call, look: Look) -> None:
    """The words are followed where all starters are."""
    if program(call.argv[0]) == "start-stop-daemon":
        for text in _values(call, ("--exec", "-x", "--startas", "-a")):
            words = call.args[call.args.index("--") + 1 :] if "--" in call.args else ()
            look.again((text, *words), call)


STARTING: dict[str, Handler] = {
    "just": _just,
    **dict.fromkeys(("nix", "nix-build"), _nix),
    "capsh": _capsh,
    "expect": _expect,
    "start-stop-daemon": _nothing_known,
}

_SPECIAL: dict[str, Callable[[Call, Look], None]] = {
    **dict.fromkeys(_GCC, _compiler),
    **dict.fromkeys(("node", "deno", "bun", "ruby", "perl", "java", "php", "luajit"), _outside),
    **dict.fromkeys(("ts-node", "tsx", "babel-node", "esno", "jiti"), _typescript),
    **dict.fromkeys(("psql", "mysql", "mariadb"), _client),
    **dict.fromkeys(names("configure scons meson xcodebuild ninja waf bmake cmake dune"), _settings),
    **dict.fromkeys(("npm", "pnpm", "yarn"), _package),
    "cargo": _cargo,
    "tox": _tox,
    "rake": _rake,
}
