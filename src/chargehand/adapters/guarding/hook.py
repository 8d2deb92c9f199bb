"""Asks Chargehand before a tool call of an agent. A script of its own: nothing here imports Chargehand.

    python -I -S hook.py claude|codex|gemini|json [--within SECONDS] [--socket PATH] < call.json

The agent's program starts it in front of each tool call, with the call on standard input, and does what it prints,
in the form of that program. It hands the call to the Unix socket named by `CHARGEHAND_HOOK` (or `--socket`) and waits
for the answer, which may be a person's. Whatever goes wrong is a denial: nobody there, an answer that is none, a call
that is no JSON, the end of `--within` (which must come before the program loses patience: some then go on as if nobody
had asked).
"""

import json
import os
import socket
import sys

CALL_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 64 * 1024


def main(args: list[str]) -> int:
    """Print the verdict in the form of the agent; 2 (which blocks in each of them) when not even that works."""
    form = args[0] if args else "json"
    allow, reason = False, "Chargehand could not be asked."
    try:
        allow, reason = ask(
            sys.stdin.buffer.read(CALL_BYTES + 1), form, option(args, "--socket"), option(args, "--within")
        )
    except Exception as error:  # noqa: BLE001 — whatever it was, the answer is no
        reason = f"Chargehand could not be asked about this call ({type(error).__name__}), so it is denied."
    text = answer(form, allow, reason)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except Exception:  # noqa: BLE001
        return 2
    return 0


def option(args: list[str], name: str) -> str:
    """The word behind `name`, or an empty string."""
    return args[args.index(name) + 1] if name in args[:-1] else ""


def ask(call: bytes, form: str, path: str, within: str) -> tuple[bool, str]:
    """Hand the call over and wait; (allowed, reason)."""
    if len(call) > CALL_BYTES:
        return False, "The call is too long to be judged; do it in smaller steps."
    document = json.loads(call.decode("utf-8"))
    path = path or os.environ.get("CHARGEHAND_HOOK", "")
    if not path:
        return False, "Nobody is there to allow it: CHARGEHAND_HOOK is not set."
    question = json.dumps({"agent": form, "cwd": os.getcwd(), "call": document})  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(float(within) if within else None)
        os.chdir(os.path.dirname(path) or ".")  # noqa: PTH120 — the name of a socket must be short
        link.connect(os.path.basename(path))  # noqa: PTH119
        link.sendall(question.encode() + b"\n")
        told = b""
        while not told.endswith(b"\n") and len(told) <= ANSWER_BYTES:
            piece = link.recv(65536)
            if not piece:
                break
            told += piece
    ruling = json.loads(told)
    return ruling["allow"] is True, str(ruling["reason"])


def answer(form: str, allow: bool, reason: str) -> str:
    """What the program of this form understands. Codex takes silence for yes, and an explicit one for an error."""
    if form == "codex" and allow:
        return ""
    if form in {"claude", "codex", "qwen"}:
        verdict = {
            "hookEventName": "PreToolUse",
            "permissionDecision": "allow" if allow else "deny",
            "permissionDecisionReason": reason,
        }
        return json.dumps({"hookSpecificOutput": verdict})
    if form == "gemini":
        return json.dumps({"decision": "allow"} if allow else {"decision": "deny", "reason": reason})
    return json.dumps({"allow": allow, "reason": reason})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
