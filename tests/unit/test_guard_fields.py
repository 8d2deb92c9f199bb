"""Tool calls with fields of other names, of other shapes, given twice; and the variables a plan sets."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from chargehand.adapters.guarding.calls import Question, Ruling, ToolKind, read_call, rule
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.place import UNKNOWN
from chargehand.adapters.guarding.plan_environment import ENVIRONMENT, environment_dangers
from chargehand.domain.plan import Command, EnvSpec, Plan, Task
from chargehand.wiring.questioning import dangers_ahead, questioned
from tests.unit.test_guard_cases import PLACE, SANDBOXED

ALLOWED = Ruling(allow=True)
R = "rm -rf /outside"


def told(name: str, given: Any, *, sandboxed: bool, **more: Any) -> str:
    """`yes`, `no` or `ask`."""
    document = {"session_id": "s", "cwd": "/ws/repo", "tool_name": name, "tool_input": given, **more}
    ruling = rule(read_call("claude", document), SANDBOXED if sandboxed else PLACE)
    return "ask" if isinstance(ruling, Question) else "yes" if ruling.allow else "no"


def patch(*lines: str) -> str:
    return "\n".join(("*** Begin Patch", *lines, "*** End Patch"))


# The tool, its fields, the answer without a sandbox, and the answer in one.
CALLS: list[tuple[str, Any, str, str]] = [
    # commands, given in odd ways
    ("Bash", {"command": "ls", "cmd": R}, "no", "no"),
    ("Bash", {"cmd": "ls", "command": R}, "no", "no"),
    ("Bash", {"command": "ls", "cmd": "ls"}, "yes", "yes"),
    ("Bash", {"command": "ls", "script": R}, "no", "no"),
    ("Bash", {"command": "ls", "args": ["-la"]}, "no", "no"),
    ("Bash", {"command": "ls", "cmd": ["rm", "-rf", "/outside"]}, "no", "no"),
    ("Bash", {"command": "ls", "cmd": {"x": R}}, "no", "no"),
    ("Bash", {"Command": R}, "ask", "ask"),
    ("shell", {"command": ["bash", "-lc", R]}, "ask", "ask"),
    ("shell", {"command": ["rm", "-rf", "/outside"]}, "ask", "ask"),
    ("shell", {"command": ["ls", "-la"]}, "yes", "yes"),
    ("shell", {"command": ["ls", 3]}, "no", "no"),
    ("shell", {"command": []}, "no", "no"),
    ("shell", {"command": [["ls"]]}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "/bin/bash", "login": True}, "yes", "yes"),
    ("exec_command", {"cmd": "ls", "shell": "/outside/evil"}, "no", "no"),
    ("exec_command", {"cmd": "rm victim", "workdir": "/outside"}, "ask", "ask"),
    ("run_shell_command", {"command": "rm victim", "dir_path": "/outside"}, "ask", "ask"),
    ("run_shell_command", {"command": "rm victim", "dir_path": "src", "directory": "/outside"}, "no", "no"),
    ("run_shell_command", {"command": "rm victim", "dir_path": "src"}, "yes", "yes"),
    ("Bash", {"command": "git log", "env": {"GIT_PAGER": R}}, "ask", "ask"),
    ("Bash", {"command": "ls", "env": {"CI": "1"}}, "yes", "yes"),
    ("Bash", {"command": "git log", "Env": [f"GIT_PAGER={R}"]}, "ask", "ask"),
    ("Bash", {"command": "rm victim", "WorkDir": "/outside"}, "ask", "ask"),
    ("Bash", {"command": "", "cmd": R}, "ask", "ask"),
    ("Bash", {"command": "ls", "stdin": R}, "no", "no"),
    ("Bash", {"command": "ls", "description": R, "timeout": 10}, "yes", "yes"),
    (" Bash ", {"command": R}, "ask", "ask"),
    ("functions.shell", {"command": ["rm", "-rf", "/outside"]}, "ask", "ask"),
    ("write_stdin", {"session_id": 1, "chars": f"{R}\n"}, "ask", "ask"),
    ("write_stdin", {"session_id": 1, "chars": ""}, "yes", "yes"),
    ("write_stdin", {"session_id": 1, "chars": "\x03"}, "yes", "yes"),
    ("write_stdin", {"session_id": 1, "chars": "rm victim\n"}, "ask", "ask"),
    ("write_stdin", {"session_id": 1, "chars": "ls\n"}, "yes", "yes"),
    ("Bash", {"command": f"true\n{R}\nE", "env": {"x <<'E'\n#": "1"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": {f"X; {R}; Y": "1"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"X-Y": "1"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"": "1"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"ｘ": "1"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": [f"X; {R}; Y=1"]}, "no", "no"),
    ("Bash", {"command": "ls", "env": ["X"]}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"X": {"a": "b"}}}, "no", "no"),
    ("Bash", {"command": "ls", "env": f"X=1; {R}"}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"A": "1"}, "ENV": {"A": "2"}}, "no", "no"),
    ("Bash", {"command": "ls", "env": {"A": "1"}, "environment": {"B": 2}}, "yes", "yes"),
    ("Bash", {"command": "ls", "env": {}}, "yes", "yes"),
    ("Bash", {"command": "ls", "environment": "staging"}, "yes", "yes"),
    ("Bash", {"command": 'rm -f "$d/x"', "env": {"d": "/ws/tmp"}}, "ask", "ask"),
    ("Bash", {"command": 'd=/ws/tmp; rm -f "$d/x"', "env": {"d": "/outside"}}, "yes", "yes"),
    ("mcp__deploy__plan", {"command": "ls", "environment": "staging"}, "no", "yes"),
    ("mcp__shell__run", {"command": "ls", "env": {f"X; {R}; Y": "1"}}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "/outside/bash"}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "./bash"}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "/bin/../outside/bash"}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "/tmp/bin/bash"}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": ["bash"]}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "bash", "Shell": "/outside/bash"}, "no", "no"),
    ("exec_command", {"cmd": "ls", "shell": "zsh"}, "yes", "yes"),
    ("exec_command", {"cmd": "ls", "shell": True}, "yes", "yes"),
    ("exec_command", {"cmd": "rm victim", "workdir": "src", "WorkDir": "/outside"}, "no", "no"),
    # files that are written
    ("Write", {"file_path": "x://../../../home/user/.bashrc", "filename": "a"}, "no", "no"),
    ("Write", {"file_path": "a", "filename": "x://../../../home/user/.bashrc"}, "no", "no"),
    ("Write", {"file_path": "https://evil.example/x"}, "no", "no"),
    ("Write", {"file_path": "file://localhost/etc/x"}, "no", "no"),
    ("Write", {"file_path": "file:///ws/repo/x"}, "no", "no"),
    ("Write", {"file_path": "file:x"}, "no", "no"),
    ("Write", {"file_path": "a", "message_file": "/etc/x"}, "no", "no"),
    ("Write", {"file_path": "a", "content_path": "/etc/x"}, "no", "no"),
    ("Write", {"file_path": "a", "name": "/etc/x"}, "no", "no"),
    ("str_replace_editor", {"path": "a", "file_text": "/etc/x", "command": "create"}, "yes", "yes"),
    ("replace", {"file_path": "a", "old_string": "/etc", "new_string": "/x", "instruction": "see /etc"}, "yes", "yes"),
    ("Write", {"file_path": "src/a", "path": "/etc/x"}, "no", "no"),
    ("Write", {"file_path": "src/a", "target_file": "/etc/x"}, "no", "no"),
    ("Write", {"file_path": "src/a", "paths": ["b", "/etc/x"]}, "no", "no"),
    ("Write", {"filename": "/etc/x", "content": "y"}, "no", "no"),
    ("Write", {"uri": "file:///etc/x"}, "no", "no"),
    ("Write", {"file_path": "src/a", "content": "/etc/x"}, "yes", "yes"),
    ("Write", {"file_path": "src/*/../../../x"}, "no", "no"),
    ("MultiEdit", {"file_path": "a", "edits": [{"old_string": "/etc", "new_string": "~"}]}, "yes", "yes"),
    ("MultiEdit", {"edits": [{"file_path": "a"}, {"file_path": "/etc/x"}]}, "no", "no"),
    ("NotebookEdit", {"notebook_path": "/outside/x.ipynb", "new_source": "1"}, "no", "no"),
    ("NotebookEdit", {"notebook_path": "x.ipynb", "new_source": "/etc/passwd"}, "yes", "yes"),
    ("notebook_edit", {"notebook_path": "../x.ipynb"}, "no", "no"),
    # patches
    ("apply_patch", {"command": patch("***Update File:/etc/x", "+y")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Update File:/etc/x", "+y")}, "no", "no"),
    ("apply_patch", {"command": patch("*** update file: /etc/x", "+y")}, "no", "no"),
    ("apply_patch", {"command": patch("  *** Add File:   /etc/x  ", "+y")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Update File: a", "*** Move To: /etc/x")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Update File: a", "***Move to:../../x")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Add File: a", "+y", "*** Delete File: /etc/x")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Add File: a", "+y", "*** Rename File: /etc/x")}, "no", "no"),
    ("apply_patch", {"command": patch("*** Add File: a"), "input": patch("*** Add File: /etc/x")}, "no", "no"),
    ("apply_patch", {"command": ["apply_patch", patch("*** Add File: /etc/x")]}, "no", "no"),
    ("apply_patch", patch("*** Add File: /etc/x", "+y"), "no", "no"),
    ("apply_patch", patch("*** Add File: a", "+*** Add File: /etc/x", "*** End of File"), "yes", "yes"),
    ("apply_patch", {"input": patch("*** Update File: a", "*** Move to: b", "@@", "-x", "+y")}, "yes", "yes"),
    # files that are read
    ("Read", {"file_path": "/home/u/.ssh/id_rsa"}, "ask", "ask"),
    ("Read", {"path": "/home/u/.ssh/config"}, "ask", "ask"),
    ("Read", {"target_file": "/proc/self/environ"}, "ask", "ask"),
    ("Read", {"file_path": "a\0b"}, "no", "no"),
    ("Read", {"file_path": ["/home/u/.ssh/id_rsa"]}, "ask", "ask"),
    ("Read", {"file_path": "x", "cwd": "/home/u/.ssh"}, "ask", "ask"),
    ("Read", {"file_path": 3}, "no", "no"),
    ("Read", [1], "no", "no"),
    ("Read", {}, "no", "no"),
    ("Read", {"uri": "file:///home/u/.netrc"}, "ask", "ask"),
    ("NotebookRead", {"notebook_path": "/home/u/.ssh/id_rsa"}, "ask", "ask"),
    ("Grep", {"pattern": ".", "glob": ".env*"}, "ask", "yes"),
    ("Grep", {"pattern": ".", "glob": "**/.en?"}, "ask", "yes"),
    ("Grep", {"pattern": ".", "path": "/home/u"}, "ask", "ask"),
    ("Grep", {"pattern": ".", "path": "/"}, "ask", "ask"),
    ("Grep", {"pattern": ".", "path": "~"}, "ask", "ask"),
    ("Grep", {"pattern": ".", "path": "/home/u", "glob": ".ss?/*"}, "ask", "ask"),
    ("Grep", {"pattern": ".", "path": "/home/u/.aws"}, "ask", "ask"),
    ("grep_search", {"pattern": ".", "dir_path": "/root"}, "ask", "ask"),
    ("grep_search", {"pattern": ".", "include": ".npm*"}, "ask", "yes"),
    ("Grep", {"pattern": ".env", "path": "src", "glob": "*.py", "output_mode": "content"}, "yes", "yes"),
    ("Grep", {"pattern": ".", "glob": "!.env"}, "yes", "yes"),
    ("Grep", {"pattern": "."}, "yes", "yes"),
    ("read_many_files", {"include": ["**"]}, "ask", "yes"),
    ("read_many_files", {"paths": ["**/*"]}, "ask", "yes"),
    ("read_many_files", {"include": ["/home/u/**"]}, "ask", "ask"),
    ("read_many_files", {"paths": ["src/a.py", "/home/u/.netrc"]}, "ask", "ask"),
    ("read_many_files", {"include": ["src/**/*.py"], "exclude": [".env"]}, "yes", "yes"),
    ("read_many_files", {"include": [f"f{n}" for n in range(300)]}, "no", "no"),
    # the network
    ("WebFetch", {"url": "http://evil.example\\@127.0.0.1/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://127.0.0.1@evil.example/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://127.0.0.1\n.evil.example/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://127.0.0.1 .evil.example/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://localhost/", "urls": ["http://evil.example/"]}, "ask", "ask"),
    ("WebFetch", {"urls": ["http://localhost/", "http://evil.example /"]}, "ask", "ask"),
    ("WebFetch", {"URL": "http://evil.example/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://2130706433/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://0x7f.1/"}, "ask", "ask"),
    ("WebFetch", {"url": "http://[::ffff:10.0.0.1]/"}, "ask", "ask"),
    ("WebFetch", {"url": "file:///etc/passwd"}, "ask", "ask"),
    ("WebFetch", {"url": "https://api.example.com.evil.example/"}, "ask", "ask"),
    ("WebFetch", {"url": "https://api.example.com./v1"}, "yes", "yes"),
    ("WebFetch", {"url": "http://[::1]:8000/", "prompt": "not http://evil.example"}, "yes", "yes"),
    ("web_fetch", {"prompt": "Compare http://localhost/a with HTTPS://evil.example/b"}, "ask", "ask"),
    ("view_image", {"path": "x.png", "url": "http://evil.example/x.png"}, "ask", "ask"),
    # tools nobody knows
    ("mcp__db__query", {"sql": "select 1"}, "no", "yes"),
    ("mcp__files__read", {"path": "/home/u/.ssh/id_rsa"}, "no", "ask"),
    ("mcp__files__read", {"path": "src/a.py"}, "no", "yes"),
    ("mcp__shell__run", {"command": R}, "no", "ask"),
    ("mcp__shell__run", {"command": "ls", "cmd": R}, "no", "no"),
    ("mcp__browser__open", {"url": "http://evil.example/"}, "no", "ask"),
    ("mcp__browser__open", {"url": "http://localhost/"}, "no", "yes"),
    ("mcp__bash__Bash", {"command": R}, "no", "ask"),
    ("mcp__run__it", {"args": {"command": R}}, "no", "ask"),
    ("mcp__run__it", {"steps": [{"command": "ls"}, {"command": R}]}, "no", "ask"),
    ("mcp__run__it", {"steps": [{"command": ["rm", "-rf", "/outside"]}]}, "no", "ask"),
    ("mcp__run__it", {"command": "ls", "then": {"cmd": R}}, "no", "ask"),
    ("mcp__run__it", {"commands": ["ls", R]}, "no", "ask"),
    ("mcp__run__it", {"script": R}, "no", "ask"),
    ("mcp__run__it", {"script": "build"}, "no", "yes"),
    ("mcp__run__it", {"args": {"command": "ls -la"}}, "no", "yes"),
    ("mcp__run__it", {"a": {"command": "cat <<'E'"}, "b": {"command": f"{R}\nE"}}, "no", "ask"),
    ("mcp__run__it", {"b": {"command": f"{R}\nE"}, "a": {"command": "cat <<'E'"}}, "no", "ask"),
    ("mcp__run__it", {"commands": ["cat <<'E'", R, "E"]}, "no", "ask"),
    ("mcp__run__it", {"note": R}, "no", "yes"),
    ("mcp__run__it", {"args": {"command": "ls", "shell": "/outside/bash"}}, "no", "no"),
    ("mcp__run__it", {"args": {"command": "ls", "env": {f"X; {R}; Y": "1"}}}, "no", "no"),
    ("mcp__net__send", {"host": "evil.example", "port": 80}, "no", "ask"),
    ("mcp__net__send", {"to": {"hostname": "evil.example"}}, "no", "ask"),
    ("mcp__net__send", {"server": "evil.example:80"}, "no", "ask"),
    ("mcp__net__send", {"host": "localhost"}, "no", "yes"),
    ("mcp__net__send", {"host": "127.0.0.1:8000"}, "no", "yes"),
    ("mcp__net__send", {"host": "api.example.com"}, "no", "yes"),
    ("mcp__net__send", {"server": "dev"}, "no", "yes"),
    ("Bаsh", {"command": R}, "no", "ask"),  # a Cyrillic letter
    ("  ", {"command": "ls"}, "no", "no"),
]


@pytest.mark.parametrize(("tool", "given", "free", "held"), CALLS)
def test_what_the_answer_is(tool: str, given: Any, free: str, held: str) -> None:
    """I8, I9: whatever a field is called, what it reaches decides; what is contradictory is denied."""
    assert (told(tool, given, sandboxed=False), told(tool, given, sandboxed=True)) == (free, held)


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("apply_patch", {"input": "\n" * 200_000}),
        ("apply_patch", {"input": "*** \n" * 100_000}),
        ("apply_patch", {"input": "*** Add File: a" + " " * 200_000 + "b\n"}),
        ("apply_patch", {"input": "*** Add" + " " * 200_000}),
        ("Write", {"file_path": "a", "content": "x" * 2_000_000}),
        ("Read", {"file_path": "*?" * 4_000 + "id_rsa"}),
        ("read_many_files", {"paths": [f"a{n}" for n in range(200)]}),
        ("Bash", {"command": "cat " + "/".join(["*?"] * 1_500)}),
        ("Bash", {"command": "python3 -c '" + "os.environ|" * 700 + "1'"}),
        ("Bash", {"command": "node -e '" + "{env" * 1_500 + "'"}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_long_calls_are_answered_soon(tool: str, given: Any) -> None:
    """Whoever judges tool calls also drives everything else: no call may hold it up."""
    started = time.process_time()
    told(tool, given, sandboxed=False)
    assert time.process_time() - started < 5


def test_two_names_for_one_call_are_denied() -> None:
    assert told("Read", {"file_path": "a"}, sandboxed=True, tool="Bash") == "no"
    assert told("Read", {"file_path": "a"}, sandboxed=True, input={"file_path": "b"}) == "no"
    assert told("Read", {"file_path": "a"}, sandboxed=True, tool="Read", input={"file_path": "a"}) == "yes"


def test_the_environment_of_a_call_is_part_of_what_is_asked() -> None:
    call = read_call("codex", {"tool_name": "shell", "tool_input": {"command": "ls", "env": {"A": "b c"}}})
    assert (call.kind, call.command, call.variables) == (ToolKind.COMMAND, "ls", "export A='b c'\n")
    call = read_call("codex", {"tool_name": "shell", "tool_input": {"command": R, "env": {"A": "b c"}}})
    asked = rule(call, PLACE)
    assert isinstance(asked, Question)
    assert (asked.command, asked.plain) == (f"export A='b c'\n{R}", R)


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("Bash", {"command": R}, R),
        ("Bash", {"command": R, "cwd": "/ws/repo/"}, R),
        ("Bash", {"command": R, "cwd": "src/../src"}, f"cd src && {R}"),
        ("Bash", {"command": R, "cwd": "/ws/repo/a b"}, f"cd 'a b' && {R}"),
        ("Bash", {"command": R, "cwd": ".."}, f"cd /ws && {R}"),
        ("Bash", {"command": R, "cwd": "/ws/tmp"}, f"cd /ws/tmp && {R}"),
        ("write_stdin", {"chars": R, "session_id": 7}, f"(typed into session 7) {R}"),
        ("write_stdin", {"chars": R}, f"(typed into session) {R}"),
        ("Read", {"file_path": "config"}, "Read config"),
        ("WebFetch", {"url": "http://evil.example/"}, "WebFetch http://evil.example/"),
    ],
)
def test_a_question_says_where_it_runs(name: str, given: Any, shown: str) -> None:
    """I9: a yes is for what was read, and the same words in another folder do something else."""
    cwd = "/home/u/.ssh" if name == "Read" else "/ws/repo"
    asked = rule(read_call("codex", {"tool_name": name, "tool_input": given, "cwd": cwd}), PLACE)
    assert isinstance(asked, Question)
    assert asked.command == (f"cd {cwd} && {shown}" if name == "Read" else shown)
    assert asked.plain == (R if name in {"Bash", "write_stdin"} else shown)


def test_a_link_to_a_secret_is_a_secret(tmp_path) -> None:
    """I8: what stands behind a link of the workspace counts, for commands and tools."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/id_rsa").write_text("x")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/notes").symlink_to(tmp_path / "home/.ssh/id_rsa")
    (tmp_path / "repo/plain").write_text("x")
    place = replace(SANDBOXED, cwd=str(tmp_path / "repo"), inside=(str(tmp_path / "repo"),), real=True)
    for name, asked in (("notes", True), ("plain", False)):
        for tool, given in (("Read", {"file_path": name}), ("Bash", {"command": f"cat {name}"})):
            call = read_call("claude", {"tool_name": tool, "tool_input": given})
            assert isinstance(rule(call, place), Question) == asked


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/b@c\\d", "a.example"),
        ("http://a.example?x@b", "a.example"),
        ("http://a.example#@b", "a.example"),
        ("user@a.example:80/x", "a.example"),
        ("http://[::1]:80/", "::1"),
        ("http://a.example\\@b", UNKNOWN),
        ("http://a@b@c", UNKNOWN),
        ("http://a.example:x/", UNKNOWN),
        ("http://a%2eb/", UNKNOWN),
        ("http://a\tb/", UNKNOWN),
        ("http://[::1/", UNKNOWN),
        ("http://", UNKNOWN),
    ],
)
def test_the_host_of_an_address(url: str, host: str) -> None:
    assert host_of(url) == host


VARIABLES = [
    ("BASH_ENV", "scripts/x.sh", True),
    ("ENV", "/ws/repo/x", True),
    ("LD_PRELOAD", "./x.so", True),
    ("LD_LIBRARY_PATH", "/ws/repo/lib", True),
    ("PYTHONSTARTUP", "x.py", True),
    ("PERL5OPT", "-Mx", True),
    ("RUBYOPT", "-rx", True),
    ("NODE_OPTIONS", "--require ./x.js", True),
    ("NODE_OPTIONS", "--import=data:text/javascript,1", True),
    ("PYTEST_ADDOPTS", "-p evil", True),
    ("JAVA_TOOL_OPTIONS", "-javaagent:x.jar", True),
    ("GIT_SSH_COMMAND", "ssh -i x", True),
    ("GIT_CONFIG_GLOBAL", "x", True),
    ("GIT_CONFIG_COUNT", "1", True),
    ("GIT_DIR", "../other/.git", True),
    ("GIT_EXEC_PATH", "bin", True),
    ("GIT_TEMPLATE_DIR", "t", True),
    ("PATH", "bin:/usr/bin", True),
    ("PATH", "/usr/bin:", True),
    ("PATH", "$HOME/bin:/usr/bin", True),
    ("PATH", "/ws/repo/node_modules/.bin:$PATH", True),
    ("CDPATH", "/outside", True),
    ("PROMPT_COMMAND", "true", True),
    ("PIP_INDEX_URL", "https://evil.example/simple", True),
    ("HTTPS_PROXY", "http://evil.example:8080", True),
    ("EDITOR", R, True),
    *((name, "x", True) for name in ("ANTHROPIC_BASE_URL", "OPENAI_API_BASE", "GOOGLE_GEMINI_BASE_URL", "MY_BASE_URL")),
    *((name, "x", True) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CLAUDE_CONFIG_DIR")),
    *(
        (name, "x", True)
        for name in ("CODEX_HOME", "MAKEFLAGS", "RUSTC_WRAPPER", "npm_config_registry", "NPM_CONFIG_X")
    ),
    *(
        (name, "x", True)
        for name in ("PIP_CONFIG_FILE", "PYTEST_PLUGINS", "LESSOPEN", "DOCKER_HOST", "LITELLM_PROXY_X")
    ),
    *(
        (name, "x", True)
        for name in ("OLLAMA_HOST", "DYLD_INSERT_LIBRARIES", "https_proxy", "ALL_PROXY", "OPENAI_HOST")
    ),
    *((name, "x", True) for name in ("NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED")),
    ("HTTPS_PROXY", "", False),
    ("BASE_URL", "http://localhost", False),
    ("PATH", "/usr/local/bin:/usr/bin:/bin", False),
    ("PATH", "/opt/tool/bin:$PATH", False),
    ("NODE_OPTIONS", "--max-old-space-size=4096", False),
    ("NODE_ENV", "test", False),
    ("CI", "1", False),
    ("PYTHONPATH", "src", False),
    ("PYTHONUNBUFFERED", "1", False),
    ("PYTEST_ADDOPTS", "-q -x", False),
    ("GIT_AUTHOR_NAME", "me", False),
    ("GIT_COMMITTER_EMAIL", "me@x.example", False),
    ("GIT_TERMINAL_PROMPT", "0", False),
    ("BASH_ENV", "", False),
    ("EDITOR", "true", False),
    ("DATABASE_URL", "postgres://localhost/x", False),
    ("TEXT", "$(rm -rf /outside)", False),
]


@pytest.mark.parametrize(("name", "value", "asked"), VARIABLES)
def test_the_variables_of_a_plan(name: str, value: str, asked: bool) -> None:
    """I9: a variable that makes every program run or load something is asked about like a command."""
    place = replace(PLACE, variables={"HOME": "/ws/home"})
    found = list(environment_dangers([(name, value)], place))
    assert [(owner, text) for owner, text, _ in found] == ([(ENVIRONMENT, f"{name}={value}")] if asked else [])
    assert all(reason.exact and reason.why for _, _, verdict in found for reason in verdict.reasons)


def test_a_variable_of_the_plan_is_asked_about_once_for_the_run() -> None:
    """I9: `check` names it as a dangerous command, a run asks before anything of it starts."""
    task = Task(id="a", title="A", verify=(Command(argv=("pytest",)),))
    plan = Plan(plan="p", goal="g", tasks=(task,), env=EnvSpec(values=(("CI", "1"), ("BASH_ENV", "x.sh"))))
    (asked,) = questioned(plan)
    assert (asked.task, asked.where, asked.command) == ("", "Environment", "BASH_ENV=x.sh")
    (warning,) = dangers_ahead(plan, "plan.yaml")
    assert (warning.code, warning.command) == ("dangerous_command", "BASH_ENV=x.sh")
    assert questioned(plan, approved=("BASH_ENV=x.sh",)) == ()
