"""git: what throws work away, rewrites history, reaches other repositories, or makes git run programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from chargehand.adapters.guarding.look import Call, Handler, Look
from chargehand.adapters.guarding.options import Options, names, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.scope import SOMETHING, Out

__all__ = ["VCS"]

_PROGRAM_KEYS = re.compile(
    r"^(?:core\.(?:pager|editor|sshcommand|fsmonitor|hookspath|askpass|gitproxy|alternaterefscommand)|pager\..*|diff\..*\.(?:textconv|command)"
    r"|diff\.external|filter\..*\.(?:clean|smudge|process)|merge\..*\.driver|credential\.helper|sequence\.editor"
    r"|gpg\.program|gpg\..*\.program|gpg\.ssh\.defaultkeycommand|uploadpack\.packobjectshook|interactive\.difffilter"
    r"|(?:diff|merge|gui)tool\..*\.(?:cmd|path)|credential\..*\.helper|(?:browser|man)\..*\.(?:cmd|path)|trailer\..*\.(?:command|cmd)"
    r"|submodule\..*\.update|remote\..*\.(?:uploadpack|receivepack|vcs)|sendemail\..*(?:cmd|smtpserver)|imap\.tunnel"
    r"|instaweb\.(?:httpd|browser)|web\.browser|rebase\.instructionformat\.cmd|blame\..*\.cmd|tar\..*\.command|filter\.lfs\..*)$",
    re.IGNORECASE,
)
_RUNS_TEXT = re.compile(
    r"(?:pager|editor|sshcommand|fsmonitor|command|textconv|external|clean|smudge|process|driver|cmd|helper|askpass|program"
    r"|gitproxy|packobjectshook|difffilter|path|update|pack|smtpserver|tunnel|httpd|browser)$",
    re.IGNORECASE,
)
_LEADS_ELSEWHERE = re.compile(
    r"include\.path|includeif\b|init\.templatedir|core\.(?:worktree|attributesfile)|protocol\..*allow|url\..*insteadof|remote\..*\.(?:url|pushurl|proxy)"
)
_NETWORK = frozenset({"fetch", "pull", "ls-remote", "fetch-pack", "send-pack"})


def _git(call: Call, look: Look) -> Out | None:
    options = read_options(
        call.args,
        short="cC",
        long=("--git-dir", "--work-tree", "--namespace", "--config-env", "--super-prefix", "--attr-source"),
        stop=True,
    )
    scope = call.scope.copy()
    inner = Call(argv=call.argv, exact=call.exact, scope=scope, feed=call.feed)
    for folder in options.values("-C", "--work-tree"):
        scope.cwds = tuple(look.place.full(folder, cwd) for cwd in scope.cwds)
    for setting in options.values("-c"):
        name, _, value = setting.partition("=")
        _setting(name, value, inner, look)
    for setting in options.values("--config-env"):
        name, _, variable = setting.rpartition("=")
        for value in scope.variables.get(variable, (UNKNOWN,)):
            _setting(name, value, inner, look)
    _from_environment(inner, look)
    if options.has("--exec-path") and any(v is not None for n, v in options.given if n == "--exec-path"):
        look.report("git_configuration", call)
    words = options.rest
    if not words:
        return None
    if UNKNOWN in words[0]:
        look.report("unknown_command", call)
        return None
    known = [value for name in ("GIT_DIR", "GIT_WORK_TREE") for value in scope.variables.get(name, ()) if value]
    for folder in (*options.values("-C", "--git-dir", "--work-tree"), *known):
        if look.spot(folder, call) is Spot.OUTSIDE and words[0] not in _READING:
            look.report("overwrite_outside", call, why="It changes a repository outside the workspace.")
    alias = scope.variables.get(f"git alias {words[0]}")
    if alias is not None:
        for text in alias:
            _alias(text, words[1:], inner, look)
        return SOMETHING
    for path in read_options(words[1:], long=("--output",)).values("--output", "--output-directory"):
        look.writes(path, inner)
    handler = _VERBS.get(words[0])
    if handler is not None:
        handler(words[1:], inner, look)
    elif words[0] in _NETWORK:
        _remote(words[1:], inner, look)
    elif words[0] not in _KNOWN:
        look.report("unknown_command", inner, inside=True, why="git knows it as an alias or another program at best.")
    call.scope.variables |= {name: value for name, value in scope.variables.items() if name.startswith("git alias ")}
    if words[:2] == ("rev-parse", "--show-toplevel"):
        return Out(text=look.place.inside[0] + "\n") if look.place.inside else SOMETHING
    return SOMETHING


def _setting(name: str, value: str, call: Call, look: Look) -> None:
    if name.lower().startswith("alias."):
        call.scope.variables[f"git alias {name[6:]}"] = (value,)
    elif _PROGRAM_KEYS.match(name) and value not in {"", "cat", "less", "true", "false", "store", "/dev/null"}:
        if name.lower().endswith("hookspath"):
            look.report("git_configuration", call, inside=True)
        elif _RUNS_TEXT.search(name) and not _names_helper(name.lower(), value):
            look.shell(value.removeprefix("!"), call)
    elif _LEADS_ELSEWHERE.match(name.lower()) or UNKNOWN in name:
        look.report("git_configuration", call, inside=True)


def _names_helper(name: str, value: str) -> bool:
    """`credential.helper=manager` is a program of git, `submodule.x.update=rebase` none at all."""
    plain = re.fullmatch(r"[\w-]+(?: --[\w=-]+)*", value) is not None
    return plain and name.endswith((".helper", ".update", ".vcs"))


def _from_environment(call: Call, look: Look) -> None:
    """The configuration that variables hold: `GIT_CONFIG_COUNT` with its keys, `GIT_CONFIG_PARAMETERS`."""
    variables = call.scope.variables
    for key in [key for key in variables if re.fullmatch(r"GIT_CONFIG_KEY_\d+", key)]:
        for name in variables[key]:
            for value in variables.get(key.replace("KEY", "VALUE"), (UNKNOWN,)):
                _setting(name, value, call, look)
    for text in variables.get("GIT_CONFIG_PARAMETERS", ()):
        try:
            words = shlex.split(text)
        except ValueError:
            look.report("git_configuration", call, inside=True)
            continue
        for word in words:
            name, _, value = word.partition("=")
            _setting(name, value, call, look)


def _alias(text: str, rest: Sequence[str], call: Call, look: Look) -> None:
    if text.startswith("!"):
        look.shell(" ".join([text[1:], *map(shlex.quote, rest)]), call)
        return
    try:
        words = shlex.split(text)
    except ValueError:
        look.report("unparseable", text)
        return
    scope = call.scope.copy()
    for name in [name for name in scope.variables if name.startswith("git alias ")]:
        del scope.variables[name]
    _git(Call(argv=("git", *words, *rest), exact=call.exact, scope=scope, feed=call.feed), look)


def _config(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="ft", long=("--file", "--type", "--default", "--blob", "--comment", "--value"))
    rest = (
        [word for word in options.rest if word not in {"set", "add"}]
        if options.rest[:1] == ("set",)
        else list(options.rest)
    )
    writes = len(rest) > 1 and rest[0] not in {"get", "list", "unset", "get-all"}
    if writes and options.has("--global", "--system"):
        home = look.place.private and options.has("--global") and look.place.sandboxed
        look.report("git_configuration", call, inside=bool(home))
    for path in options.values("-f", "--file") if writes else ():
        look.writes(path, call, append=True)
    if writes:
        _setting(rest[0], rest[1], call, look)


def _reset(words: Sequence[str], call: Call, look: Look) -> None:
    if read_options(words).has("--hard", "--merge", "--keep"):
        look.report("git_discard", call, inside=True)


def _clean(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="e", long=("--exclude",))
    if not options.has("-n", "--dry-run"):
        look.report("git_discard", call, inside=True)


def _checkout(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="bB", long=("--orphan", "--conflict", "--pathspec-from-file"))
    paths = words[list(words).index("--") + 1 :] if "--" in words else ()
    whole = any(word.rstrip("/") in {".", ":", ":/", "*", ".."} or word.startswith(":/") for word in options.rest)
    if options.has("-f", "--force", "--pathspec-from-file") or whole or paths or UNKNOWN in "".join(options.rest):
        look.report("git_discard", call, inside=True)
    elif options.has("-B"):
        look.report("git_history", call, inside=True)


def _switch(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="cC", long=("--create", "--force-create", "--orphan"))
    if options.has("-f", "--force", "--discard-changes"):
        look.report("git_discard", call, inside=True)
    if options.has("-C", "--force-create"):
        look.report("git_history", call, inside=True)


def _restore(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="s", long=("--source",))
    if not options.has("-S", "--staged") or options.has("-W", "--worktree"):
        look.report("git_discard", call, inside=True)


def _branch(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="u", long=("--set-upstream-to", "--contains", "--merged", "--format", "--sort"))
    forced = options.has("-f", "--force")
    if options.has("-D", "-M", "-C") or (forced and (options.has("-d", "--delete", "-m", "-c") or options.rest)):
        look.report("git_history", call, inside=True)


def _tag(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="mFun", long=("--message", "--file", "--local-user", "--sort", "--format"))
    if options.has("-d", "--delete", "-f", "--force"):
        look.report("git_history", call, inside=True)


def _stash(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] and words[0] in {"drop", "clear"}:
        look.report("git_history", call, inside=True)


def _rule(
    rule: str, *, when: Callable[[Options], bool] = lambda _: True
) -> Callable[[Sequence[str], Call, Look], None]:
    def report(words: Sequence[str], call: Call, look: Look) -> None:
        if when(read_options(words)):
            look.report(rule, call, inside=True)

    return report


def _always(rule: str) -> Callable[[Sequence[str], Call, Look], None]:
    def report(_words: Sequence[str], call: Call, look: Look) -> None:
        look.report(rule, call)

    return report


def _push(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="o", long=("--repo", "--receive-pack", "--exec", "--push-option"))
    for text in options.values("--receive-pack", "--exec"):
        look.shell(text, call)
    if options.has("-n", "--dry-run"):
        return
    refs = options.rest[1:]
    forced = options.has(
        "-f", "--force", "--force-with-lease", "--mirror", "--delete", "-d", "--prune", "--force-if-includes"
    )
    if forced or any(ref.startswith(("+", ":")) or UNKNOWN in ref for ref in refs):
        look.report("git_force_push", call)
    else:
        look.report("git_push", call)


def _remote(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="ojb", long=("--upload-pack", "--depth", "--branch", "--origin", "--config"))
    for text in options.values("--upload-pack", "-u"):
        look.shell(text, call)
    local = options.rest and not _is_remote(options.rest[0]) and "/" in options.rest[0]
    if local or options.has("--dry-run"):
        return
    if options.rest and _is_remote(options.rest[0]):
        _url(options.rest[0], call, look)
    else:
        look.report("network", call, why="It connects to a remote whose host cannot be told from the command.")


def _clone(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(
        words,
        short="objcu",
        long=("--upload-pack", "--depth", "--branch", "--origin", "--config", "--reference", "--template"),
    )
    for text in options.values("-u", "--upload-pack"):
        look.shell(text, call)
    for setting in options.values("-c", "--config"):
        name, _, value = setting.partition("=")
        _setting(name, value, call, look)
    if options.rest:
        _url(options.rest[0], call, look) if _is_remote(options.rest[0]) else None
    for target in options.rest[1:]:
        look.writes(target, call, append=True)


def _is_remote(url: str) -> bool:
    return "://" in url or "::" in url or bool(re.match(r"[^/]+:", url)) or UNKNOWN in url


def _url(url: str, call: Call, look: Look) -> None:
    if url.startswith("ext::"):
        look.shell(url[5:], call)
        return
    url = url.partition("::")[2] or url
    try:
        host = urlsplit(url).hostname if "://" in url else url.partition(":")[0].rpartition("@")[2]
    except ValueError:
        host = UNKNOWN
    if not url.startswith("file://"):
        look.host(host or UNKNOWN, call)


def _submodule(words: Sequence[str], call: Call, look: Look) -> None:
    if "foreach" in words:
        rest = [word for word in words[list(words).index("foreach") + 1 :] if not word.startswith("-")]
        look.shell(" ".join(rest), call)
    elif words[:1] and words[0] in {"add", "update"}:
        urls = [word for word in words[1:] if _is_remote(word)]
        for url in urls:
            _url(url, call, look)
        if not urls:
            look.report("network", call, why="It connects to the hosts of the submodules.")
    elif words[:1] == ("deinit",):
        look.report("git_discard", call, inside=True)


def _remote_command(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] == ("update",) or words[:1] == ("show",):
        look.report("network", call, why="It connects to a remote whose host cannot be told from the command.")


def _worktree(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="bB", long=("--reason",))
    if words[:1] == ("remove",):
        if options.has("-f", "--force"):
            look.report("git_discard", call, inside=True)
        look.deletes(options.rest[1:], call, whole=options.has("-f", "--force"))
    elif words[:1] == ("add",):
        for path in options.rest[1:2]:
            look.writes(path, call, append=True)


def _rebase(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="xsX", long=("--exec", "--onto", "--strategy"))
    for text in options.values("-x", "--exec"):
        look.shell(text, call)


def _bisect(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] == ("run",):
        look.again(words[1:], call)


def _filter(words: Sequence[str], call: Call, look: Look) -> None:
    look.report("git_history", call, inside=True)
    options = read_options(
        words, long=("--tree-filter", "--index-filter", "--env-filter", "--msg-filter", "--commit-filter")
    )
    for _, text in options.given:
        look.shell(text, call) if text else None


def _reflog(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] and words[0] in {"expire", "delete"} and "--dry-run" not in words and "-n" not in words:
        look.report("git_history", call, inside=True)


def _rm(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, long=("--pathspec-from-file",))
    if options.has("-n", "--dry-run", "--cached"):
        return
    if options.has("-r", "-f", "--force"):
        look.report("git_discard", call, inside=True)


def _runs_options(words: Sequence[str], call: Call, look: Look) -> None:
    """`grep -O`, `difftool -x`, `mergetool`: options that name a program."""
    options = read_options(words, short="Oxt", long=("--open-files-in-pager", "--extcmd", "--tool"))
    for text in options.values("-O", "--open-files-in-pager", "-x", "--extcmd"):
        look.shell(text, call)


def _archive(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(
        words, short="o", long=("--output", "--remote", "--format", "--prefix", "--output-directory")
    )
    for path in options.values("-o", "--output", "--output-directory"):
        look.writes(path, call)
    for url in options.values("--remote"):
        _url(url, call, look) if _is_remote(url) else None


def _lfs(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] == ("push",):
        look.report("git_push", call)
    elif words[:1] and words[0] in {"fetch", "pull"}:
        look.report("network", call)


def _apply(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, long=("--directory", "--exclude", "--include"), short="pC")
    if options.has("--unsafe-paths"):
        look.report("overwrite_unknown", call)


def _ext(words: Sequence[str], call: Call, look: Look) -> None:
    look.shell(" ".join(words[1:]), call)


def _remote_listing(words: Sequence[str], call: Call, look: Look) -> None:
    for text in read_options(words, long=("--upload-pack", "--exec")).values("--upload-pack", "--exec"):
        look.shell(text, call)
    _remote(words, call, look)


def _maintenance(words: Sequence[str], call: Call, look: Look) -> None:
    if words[:1] in (("start",), ("register",)):
        look.report("system", call)


def _init(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="b", long=("--template", "--initial-branch", "--object-format"))
    if any(options.values("--template")):
        look.report("git_configuration", call, inside=True, why="It takes hooks from elsewhere.")


_READING = names(
    "status log diff show rev-parse ls-files ls-tree cat-file describe blame shortlog rev-list merge-base grep "
    "help version name-rev for-each-ref show-ref count-objects diff-tree diff-files diff-index whatchanged cherry "
    "range-diff check-ignore check-attr var ls-remote"
)
_KNOWN = _READING | names(
    "add commit init mv merge cherry-pick revert notes am format-patch apply bundle hash-object mktree write-tree "
    "read-tree commit-tree merge-tree merge-file update-index fsck sparse-checkout rerere symbolic-ref pack-refs "
    "repack maintenance verify-commit verify-tag interpret-trailers stripspace column check-ref-format mergetool "
    "citool gui annotate unpack-objects index-pack pack-objects commit-graph multi-pack-index checkout-index "
    "patch-id fmt-merge-msg request-pull show-branch show-index verify-pack mailinfo mailsplit range-diff replay "
    "diagnose bugreport"
)
_VERBS: dict[str, Callable[[Sequence[str], Call, Look], None]] = {
    "config": _config,
    "reset": _reset,
    "clean": _clean,
    "checkout": _checkout,
    "switch": _switch,
    "restore": _restore,
    "branch": _branch,
    "tag": _tag,
    "stash": _stash,
    "push": _push,
    "clone": _clone,
    "submodule": _submodule,
    "remote": _remote_command,
    "worktree": _worktree,
    "rebase": _rebase,
    "bisect": _bisect,
    "filter-branch": _filter,
    "filter-repo": _filter,
    "reflog": _reflog,
    "rm": _rm,
    "update-ref": _rule("git_history", when=lambda given: given.has("-d", "--stdin")),
    "gc": _rule("git_history", when=lambda given: given.has("--prune")),
    "prune": _rule("git_history", when=lambda given: not given.has("-n", "--dry-run")),
    "replace": _rule("git_history"),
    "fast-import": _rule("git_history"),
    "checkout-index": _rule("git_discard", when=lambda given: given.has("-f", "--force")),
    "read-tree": _rule("git_discard", when=lambda given: given.has("--reset", "-u")),
    "credential": _always("secret_file"),
    "credential-store": _always("secret_file"),
    "grep": _runs_options,
    "difftool": _runs_options,
    "archive": _archive,
    "lfs": _lfs,
    "apply": _apply,
    "am": _apply,
    "send-email": _always("upload"),
    "svn": _always("network"),
    "p4": _always("network"),
    "daemon": _always("upload"),
    "remote-ext": _ext,
    "ls-remote": _remote_listing,
    "maintenance": _maintenance,
    "init": _init,
}


def _hub(call: Call, look: Look) -> None:
    """`gh` and `glab`: reading stays a connection, the rest changes what others see."""
    words = [word for word in call.args if not word.startswith("-")]
    if words[:2] == ["auth", "token"] or (words[:1] == ["auth"] and "--show-token" in call.args):
        look.report("secret_file", call)
    elif words[:1] and words[0] in {"release", "repo", "gist", "secret", "pr", "issue"} and words[1:2] and words[1] in {
        "create", "delete", "upload", "edit", "merge", "set", "archive", "rename", "close", "comment", "review", "sync",
    }:  # fmt: skip
        look.report("publish", call)
    elif words and words[0] not in {"version", "help", "completion", "config", "alias"}:
        look.host("github.com" if call.argv[0] != "glab" else "gitlab.com", call)


VCS: dict[str, Handler] = {"git": _git, "gh": _hub, "hub": _git, "glab": _hub}
