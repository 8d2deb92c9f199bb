"""Shapes of shell text: where a danger can hide in the syntax, more commands in short, and texts made to be slow.

Nothing here is ever executed; it is classified.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chargehand.adapters.guarding.classify import classify
from chargehand.adapters.guarding.verdict import Kind
from tests.unit.test_guard_cases import PLACE

R = "rm -rf /outside"
ASK = [
    f"cat x | sh <<EOF\n{R}\nEOF\n",
    f"true && sh <<EOF\n{R}\nEOF\n",
    f"sh <<EOF && true\n{R}\nEOF\n",
    f"sh <<'A'; cat <<'B'\n{R}\nA\nx\nB\n",
    f"sh <<-EOF\n\t{R}\n\tEOF\n",
    f'sh << "EOF"\n{R}\nEOF\n',
    f"sh <<EOF | cat\n{R}\nEOF\n",
    f"cat <<EOF | cat | sh\n{R}\nEOF\n",
    f"{{ sh; }} <<EOF\n{R}\nEOF\n",
    f"(sh) <<EOF\n{R}\nEOF\n",
    f"if true; then sh; fi <<EOF\n{R}\nEOF\n",
    f"while sh; do :; done <<< '{R}'",
    f"f() {{ sh; }}; f <<< '{R}'",
    f"f() {{ sh; }}; echo '{R}' | f",
    f"f() {{ {R}; }}; export -f f; bash -c f",
    f"f() {{ {R}; }}; echo x | xargs bash -c f",
    f"f()\n{{\n  {R}\n}}\nf\n",
    f"echo a \\\n  && {R}",
    "r\\\nm -rf /outside",
    f"true\n{R}\ntrue",
    f"true\r\n{R}\r\n",
    f"x='\n{R}\n'; eval \"$x\"",
    f"x=$(cat <<'EOF'\n{R}\nEOF\n); sh -c \"$x\"",
    f"python3 - <<'EOF' && {R}\nprint(1)\nEOF\n",
    f"python3 - <<EOF\nimport os\nos.system('{R}')\nEOF\n",
    f"cat > x.py <<'EOF'\nimport os\nos.system('{R}')\nEOF\npython3 x.py\n",
    f"cat > x.sh << 'EOF'\n#!/bin/sh\n{R}\nEOF\nchmod +x x.sh && ./x.sh\n",
    f"cat <<'EOF' > Makefile.x\nall:\n\t{R}\nEOF\nmake -f Makefile.x\n",
    f"[ -f x ] && {R} || true",
    f"[[ -f x ]] || {R}",
    f"test -f x && {R}",
    f"case x in\n  a) {R} ;;\nesac",
    "for i in $(echo /outside); do rm -rf $i; done",
    'for i in /outside/{a,b}; do rm -rf "$i"; done',
    "a=/out; b=side; rm -rf $a$b",
    'a=(/outside x); rm -rf "${a[@]}"',
    'a=(x); a+=(/outside); rm -rf "${a[@]}"',
    'd=/outside; f() { rm -rf "$d"; }; f',
    'd=x; f() { d=/outside; }; f; rm -rf "$d"',
    'while true; do d=/outside; break; done; rm -f "$d"',
    'if x; then d=/outside; else d=y; fi; rm -f "$d"',
    'd=/outside/x; rm -rf "${d%/*}"',
    'd=/outside/x; rm -f "${d%x}y"',
    f"echo '{R}' > /ws/tmp/x; sh /ws/tmp/x",
    f"echo '{R}' | sudo sh",
    f"echo '{R}' | timeout 5 sh",
    f"echo '{R}' | env sh",
    f"echo '{R}' | xargs -0 sh -c",
    f"echo '{R}' | bash -",
    f"echo '{R}' | tee >(sh)",
    f"echo '{R}' > >(sh)",
    f"sh < <(echo '{R}')",
    f"bash --rcfile <(echo '{R}') -i",
    f"$(cat <<EOF\n{R}\nEOF\n)",
    f'git commit -m "`{R}`"',
    f'git commit -m "x $(git log | head; {R})"',
    f'echo "$(echo "$({R})")"',
    f"export X=$({R})",
    f"local x=$({R})",
    f"readonly x=`{R}`",
    f"x=(${{y:-$({R})}})",
    f"echo ${{x:-$({R})}}",
    f"echo ${{x:=`{R}`}}",
    f": ${{x:?$({R})}}",
    f"echo ${{x/a/$({R})}}",
    f"echo $[ $({R}) ]",
    f"x[$({R})]=1",
    f"(( x = $({R}) ))",
    f"for ((i=$({R}); i<1; i++)); do :; done",
    f"> $({R})",
    f"cat < $({R})",
    f"cat <<< $({R})",
    f"case $({R}) in a) ;; esac",
    f"for i in $({R}); do :; done",
    f"select i in $({R}); do :; done",
    f"echo {{a,$({R})}}",
    f"unset x[$({R})]",
    f'declare "x=$({R})"',
    f"time -p -- {R}",
    f"then {R}",
    f'"{R}" || {R}',
    f"rm\u3000-rf /outside; {R}",
    f"\ufeff{R}",
    "rm -rf /outside\u200b",
]
OK = [
    "cat > src/x.py <<'EOF'\nimport shutil\nshutil.rmtree('/outside')\nEOF\n",
    "cat > src/x.sh <<'EOF'\nrm -rf /outside\nEOF\nchmod +x src/x.sh\n",
    "git commit -F - <<'EOF'\nrm -rf / `x` $(y)\nEOF\n",
    "f() { rm -rf /outside; }\n",
    "pytest \\\n  -q \\\n  tests\n",
    "set -e\ncd sub\nmake\n",
    'for f in src/*.py; do\n  echo "$f"\ndone\n',
    "cat <<EOF >> README.md\n$(date) $USER\nEOF\n",
    "npm ci && npm test 2>&1 | tee build.log",
    (
        "python3 - <<'EOF'\nimport re, pathlib\np = pathlib.Path('a.py')\n"
        "p.write_text(re.sub('a', 'b', p.read_text()))\nEOF\n"
    ),
    "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: src/a.py\n+x\n*** End Patch\nEOF\n",
]
HEADS = [
    "perl -e '",
    "node -e '",
    "awk '",
    "sed '",
    "python -c '",
    "vim -c '",
    "ruby -e '",
    "printf '",
    "echo -e '",
    "sqlite3 x '",
    "gdb -ex '",
    "make --eval='",
]
UNITS = [
    "s/",
    "s(",
    "open(",
    '"|',
    '|"',
    "e ",
    "a*b",
    "\\",
    "\\x",
    "%s",
    "1e ",
    "!",
    "w ",
    "+",
    "s|a|b|",
    "system(",
    "r!",
    "exec ",
    "`",
    "$(shell ",
    "{",
    "[",
    "\n",
    "a+",
    "http",
    "'.'",
    "(a,",
    "-",
]

MORE = [
    line.split(" ", 1)
    for line in Path(__file__).with_name("guard_more.txt").read_text(encoding="utf-8").splitlines()
    if line.startswith(("A ", "H "))
]


@pytest.mark.parametrize(("letter", "command"), MORE)
def test_more_commands(letter: str, command: str) -> None:
    verdict = classify(command, PLACE)
    assert (verdict.kind is not Kind.HARMLESS) == (letter == "A"), verdict


@pytest.mark.parametrize("text", ASK)
def test_a_danger_is_found_in_every_shape(text: str) -> None:
    """I8, I9: wherever a shell would run it, it is found, or the text is said to be unreadable."""
    assert classify(text, PLACE).kind is not Kind.HARMLESS


@pytest.mark.parametrize("text", OK)
def test_texts_of_several_lines_that_are_harmless(text: str) -> None:
    verdict = classify(text, PLACE)
    assert verdict.kind is Kind.HARMLESS, verdict


@pytest.mark.parametrize("head", HEADS)
def test_code_made_to_be_slow_is_not(head: str) -> None:
    """The patterns that look at one-liners take no more than linear time, or nearly."""
    for unit in UNITS:
        text = head + unit.replace("'", '"') * ((8100 - len(head)) // len(unit)) + "'"
        began = time.process_time()  # not by the wall: others may be at work
        classify(text, PLACE)
        assert time.process_time() - began < 2.0, unit
