"""Variables that make other programs run something, load code, or fetch from elsewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from chargehand.adapters.guarding.code import look_into
from chargehand.adapters.guarding.evaluated import look_at_name, look_at_prompt
from chargehand.adapters.guarding.known import is_standard_folder
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.place import UNKNOWN, Spot, is_loopback

__all__ = ["look_at_variable"]

_COMMANDS = re.compile(
    r"^(?:GIT_(?:SSH_COMMAND|SSH|EDITOR|SEQUENCE_EDITOR|PAGER|EXTERNAL_DIFF|ASKPASS|PROXY_COMMAND)|SSH_ASKPASS|EDITOR|VISUAL"
    r"|PAGER|BROWSER|PROMPT_COMMAND|SUDO_ASKPASS|SUDO_EDITOR|RSYNC_RSH|CVS_RSH|SVN_SSH|SVN_EDITOR|SVN_MERGE|HGEDITOR"
    r"|HGMERGE|FCEDIT|KUBE_EDITOR|KUBECTL_EXTERNAL_DIFF|FZF_DEFAULT_COMMAND|FZF_(?:CTRL_T|ALT_C)_COMMAND|SHELL|CONFIG_SHELL"
    r"|[A-Z_]*(?:PAGER|EDITOR|BROWSER)"
    r"|CC|CXX|CPP|LD|AR|AS|FC|NM|RANLIB|RUSTC|RUSTDOC|RUSTC_(?:WORKSPACE_)?WRAPPER|CARGO_TARGET_\w+_(?:RUNNER|LINKER)"
    r"|CARGO_BUILD_RUSTC\w*|CMAKE_\w+_COMPILER_LAUNCHER|npm_config_(?:script_shell|editor|viewer|git)|NPM_CONFIG_SCRIPT_SHELL"
    r"|BORG_PASSCOMMAND|RESTIC_PASSWORD_COMMAND|ANSIBLE_\w*ASKPASS\w*|PYTHON(?:EXECUTABLE)?_COMMAND|XDG_UTILS_\w+|TERM_PROGRAM_COMMAND)$"
)
_PROMPTS = re.compile(r"^PS[0-4]$")
_STARTUP = re.compile(
    r"^(?:BASH_ENV|ENV|PYTHONSTARTUP|ZDOTDIR|KSHENV|GUILE_LOAD_FILE|VIMINIT_FILE|R_PROFILE(?:_USER)?)$"
)
_LIBRARIES = re.compile(
    r"^(?:LD_PRELOAD|LD_AUDIT|LD_LIBRARY_PATH|DYLD_(?:INSERT_LIBRARIES|LIBRARY_PATH|FRAMEWORK_PATH)|GCONV_PATH|OPENSSL_(?:CONF|MODULES|ENGINES)"
    r"|PYTHONPATH|PYTHONHOME|PYTHONUSERBASE|PERL5LIB|PERLLIB|RUBYLIB|GEM_PATH|GEM_HOME|NODE_PATH|LUA_PATH|LUA_CPATH|CLASSPATH"
    r"|ERL_LIBS|GUILE_LOAD_PATH|TCLLIBPATH|R_LIBS(?:_USER)?|JULIA_LOAD_PATH|GOROOT|GIT_EXEC_PATH|MAKEFILES|BUNDLE_GEMFILE|VIMRUNTIME"
    r"|PATH|RIPGREP_CONFIG_PATH|GTK_MODULES|QT_PLUGIN_PATH|LIBRARY_PATH|COMPILER_PATH|GCC_EXEC_PREFIX)$"
)
_WORDS = re.compile(
    r"^(?:PERL5OPT|RUBYOPT|NODE_OPTIONS|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|JAVA_OPTS|MAVEN_OPTS|GRADLE_OPTS|PYTEST_ADDOPTS"
    r"|PYTEST_PLUGINS|GOFLAGS|RUSTFLAGS|ERL_(?:AFLAGS|FLAGS|ZFLAGS)|ELIXIR_ERL_OPTIONS|LESS|VIMINIT|EXINIT|MANOPT|MANROFFOPT"
    r"|PYTHONBREAKPOINT|PERL5DB|LESSOPEN|LESSCLOSE|LUA_INIT\w*|GIT_CONFIG_PARAMETERS|SBCL_\w+|EMACSLOADPATH)$"
)
_OPTIONS_OF = {
    "TAR_OPTIONS": "tar", "ZIPOPT": "zip", "MAKEFLAGS": "make", "MFLAGS": "make", "GNUMAKEFLAGS": "make",
    "RSYNC_OPTIONS": "rsync", "NODE_OPTIONS": "node", "FZF_DEFAULT_OPTS": "fzf", "GREP_OPTIONS": "grep",
}  # fmt: skip
_INDEX = re.compile(
    r"^(?:PIP_(?:EXTRA_)?INDEX_URL|PIP_FIND_LINKS|UV_(?:DEFAULT_|EXTRA_)?INDEX(?:_URL)?|UV_FIND_LINKS|NPM_CONFIG_REGISTRY"
    r"|YARN_NPM_REGISTRY_SERVER|YARN_REGISTRY|GOPROXY|CARGO_REGISTRIES_\w+|BUNDLE_MIRROR\w*|GEM_SOURCE)$",
    re.IGNORECASE,
)
_GIT_FILES = re.compile(r"^GIT_(?:CONFIG|CONFIG_GLOBAL|CONFIG_SYSTEM|TEMPLATE_DIR|ALTERNATE_OBJECT_DIRECTORIES)$")
_SUSPECT = re.compile(
    r"[!`]|\$\(|\bexecute\(|\bbecome\(|\breload\(|-javaagent|-agentpath|-agentlib|OnOutOfMemoryError|OnError|-toolexec|-exec\b"
    r"|linker=|-plugin|\bsystem\b|\beval\b|\bos:cmd\b"
)
_PATHS_IN = re.compile(r"(?:^|[\s=:,@'\"])-?[A-Za-z]?((?:/|~|\.\./)[^\s:,'\"]*)")
_PROGRAMS_IN = re.compile(r"/(?:s?bin|shims|Scripts|libexec)/?$")
_SAFE = frozenset({"", "0", "pdb.set_trace", "ipdb.set_trace", "pudb.set_trace", "breakpoint"})


def look_at_variable(name: str, value: str, call: Call, look: Look) -> None:
    """A variable is set to a value: what other programs, or the shell itself, would do with it."""
    look_at_name(value, call, look)
    if _COMMANDS.match(name):
        _command(name, value, call, look)
    elif _PROMPTS.match(name):
        look_at_prompt(value, call, look)
    elif _STARTUP.match(name):
        _startup(name, value, call, look)
    elif name in _OPTIONS_OF:
        _options(_OPTIONS_OF[name], value, call, look)
    elif _LIBRARIES.match(name):
        _libraries(name, value, call, look)
    elif _WORDS.match(name):
        _words(name, value, call, look)
    elif _GIT_FILES.match(name):
        if value not in {"", "/dev/null"}:
            look.report("git_configuration", call, inside=True)
    elif name.startswith("BASH_FUNC_"):
        look.shell(f"{name[10:].removesuffix('%%')} {value}\n{name[10:].removesuffix('%%')}", call)
    else:
        _network(name, value, call, look)


def _network(name: str, value: str, call: Call, look: Look) -> None:
    if _INDEX.match(name) and "://" in value:
        host = host_of(value)
        if not is_loopback(host) and host not in look.place.hosts:
            look.report("install_untrusted", call)
    elif name.lower() in {"http_proxy", "https_proxy", "all_proxy"} and value:
        look.host(host_of(value), call)


def _command(name: str, value: str, call: Call, look: Look) -> None:
    """Other programs run the value, mostly with more words behind it; a path is the whole of some (`GIT_SSH`)."""
    if value.strip() in {"", "0", "1", "true", "false", "cat", UNKNOWN} and name not in {"PROMPT_COMMAND", "BROWSER"}:
        return
    look.shell(value, call)


def _startup(name: str, value: str, call: Call, look: Look) -> None:
    """A file that interpreters run first. `ENV` is a word of many projects as well: `ENV=production`."""
    if name == "ENV" and not re.search(r"[/~$`]", value) and look.script(value, call) is None:
        return
    look_at_prompt(value, call, look)
    if not value or value == "/dev/null":
        return
    known = look.script(value, call)
    if known is not None:
        look.runs(known, call, lambda text: look.shell(text, call))
    elif look.spot(value, call) is Spot.OUTSIDE and not is_standard_folder(value):
        look.report("loaded_code", call, inside=True)


def _libraries(name: str, value: str, call: Call, look: Look) -> None:
    """Files or folders that other programs load code from; those of the workspace are like running its files."""
    if name == "LD_PRELOAD" and UNKNOWN in value:
        look.report("loaded_code", call, inside=True)
    for path in re.split(r"[:; ]", value):
        if ("/" not in path and path != "..") or (name == "PATH" and _PROGRAMS_IN.search(path)):
            continue
        if not is_standard_folder(path) and look.spot(path, call) is Spot.OUTSIDE:
            look.report("loaded_code", call, inside=True)


def _options(program: str, value: str, call: Call, look: Look) -> None:
    if UNKNOWN in value:
        return
    if program == "make":
        look.again(("make", "--eval", value), call)
    for words in _split(value):
        look.again((program, *([*words, "x.js"] if program == "node" else words)), call)
    _outside(value, call, look)


def _split(value: str) -> Iterator[list[str]]:
    try:
        yield shlex.split(value)
    except ValueError:
        return


def _words(name: str, value: str, call: Call, look: Look) -> None:
    """Options of interpreters and tools that may name code."""
    if name in {"PERL5OPT", "PERL5DB", "RUBYOPT", "VIMINIT", "EXINIT"} or name.startswith("LUA_INIT"):
        look_into(value, call, look)
    if name == "PYTHONBREAKPOINT":
        if value not in _SAFE:
            look.report("hidden_code", call)
    elif name in {"LESSOPEN", "LESSCLOSE"}:
        look.shell(value.lstrip("|-"), call)
    elif name in {"VIMINIT", "EXINIT"}:
        look.again(("vim", "-c", value), call)
    elif name == "GIT_CONFIG_PARAMETERS":
        return  # git itself looks at it, where it is called
    elif _SUSPECT.search(value):
        look.report("hidden_code", call)
    _outside(value, call, look)


def _outside(value: str, call: Call, look: Look) -> None:
    for path in _PATHS_IN.findall(value):
        if not is_standard_folder(path) and look.spot(path, call) is Spot.OUTSIDE:
            look.report("loaded_code", call, inside=True)
