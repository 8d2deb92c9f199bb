"""Names of variables that decide where programs keep their things, what they run, and where they send a key (SPEC 7).

One list for everybody who is offered variables by others: plans, files of projects, fitters.
"""

from __future__ import annotations

import re

__all__ = ["bends_checks", "is_loaded", "is_private", "leads_elsewhere"]

_PRIVATE = re.compile(r"HOME|TMPDIR|XDG_(?:\w+_HOME|\w+_DIRS?)")
_OF_PROVIDERS = (
    *("ANTHROPIC", "CLAUDE", "OPENAI", "AZURE_OPENAI", "AZURE_API", "CODEX", "GEMINI", "GOOGLE", "OPENCODE", "GOOSE"),
    *("AIDER", "LITELLM", "OLLAMA", "OPENROUTER", "BEDROCK", "VERTEX", "LD", "DYLD", "SSL_CERT", "NPM_CONFIG"),
)
_LEADING = re.compile(
    rf"(?:{'|'.join(_OF_PROVIDERS)})_\w+|\w+_(?:BASE_URL|API_BASE|API_HOST|PROXY|CA_BUNDLE|CA_CERTS?|CAINFO)"
    r"|AWS_ENDPOINT_URL\w*|AWS_PROFILE|AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE"
    r"|NODE_(?:EXTRA_CA_CERTS|TLS_REJECT_UNAUTHORIZED)|PYTHONHTTPSVERIFY|SSLKEYLOGFILE|HOSTALIASES"
    r"|PIP_(?:CONFIG_FILE|TRUSTED_HOST|CERT|PROXY)|UV_(?:CONFIG_FILE|INSECURE_HOST)|MAKEFLAGS|GNUMAKEFLAGS|MFLAGS"
    r"|RUSTC_(?:WORKSPACE_)?WRAPPER|CARGO_BUILD_RUSTC\w*|PYTEST_PLUGINS|LESSOPEN|LESSCLOSE"
    r"|DOCKER_(?:HOST|CONTEXT|CONFIG|CERT_PATH|TLS_VERIFY)|CONTAINER_HOST|KUBECONFIG|NETRC|CURL_HOME",
    re.IGNORECASE,
)
_LOADED = re.compile(
    r"BASH_ENV|ENV|PYTHONSTARTUP|PYTHONHOME|PYTHONUSERBASE|PYTHONINSPECT|PERL5OPT|PERL5DB|PERL5LIB|RUBYOPT|RUBYLIB"
    r"|LUA_INIT\w*|LD_PRELOAD|LD_AUDIT|LD_LIBRARY_PATH|DYLD_\w+|GCONV_PATH|OPENSSL_CONF|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS"
    r"|JDK_JAVA_OPTIONS|SSH_AUTH_SOCK|PROMPT_COMMAND|PS4|SHELLOPTS|BASHOPTS|BASH_FUNC_\S+|IFS|CDPATH|ZDOTDIR|MAKEFILES"
    r"|VIMINIT|EXINIT|GIT_(?!(?:AUTHOR|COMMITTER|TRACE)_?|TERMINAL_PROMPT$|OPTIONAL_LOCKS$|LFS_SKIP_SMUDGE$|ADVICE$"
    r"|CONFIG_NOSYSTEM$|MERGE_AUTOEDIT$|CEILING_DIRECTORIES$|SHA$|COMMIT$|BRANCH$|TAG$|REF$|DEPTH$)\w+"
)
_OF_TOOLS = frozenset(
    {
        *("PATH", "SHELL", "CI", "NODE_PATH", "NODE_OPTIONS", "CLASSPATH", "PYTEST_ADDOPTS", "GOFLAGS", "RUSTFLAGS"),
        *("MAVEN_OPTS", "GRADLE_OPTS", "JAVA_OPTS"),
    }
)
_PREFIXES = ("GIT_", "CHARGEHAND_", "PYTHON", "PERL", "RUBY")


def is_private(name: str) -> bool:
    """Whether every attempt and check has its own: the folders that programs take for the user's."""
    return _PRIVATE.fullmatch(name) is not None


def leads_elsewhere(name: str) -> bool:
    """Whether it may lead a key, a login or a program somewhere else, whatever its value is."""
    return _LEADING.fullmatch(name) is not None


def is_loaded(name: str) -> bool:
    """Whether every program that starts with it runs or loads what it names, or believes it."""
    return _LOADED.fullmatch(name) is not None


def bends_checks(name: str) -> bool:
    """Whether it decides what a check runs: nothing for a fitter to change (SPEC 5)."""
    named = name in _OF_TOOLS or name.startswith(_PREFIXES)
    return named or is_private(name) or leads_elsewhere(name) or is_loaded(name)
