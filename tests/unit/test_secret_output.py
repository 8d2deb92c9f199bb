"""Nothing that a command prints, and no crash report, holds a secret of the environment (SPEC 7.3)."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest

from chargehand.cli.failing import INTERNAL, USAGE, explain
from chargehand.cli.output import Output
from chargehand.cli.session import Session
from chargehand.domain.errors import UserError
from chargehand.domain.events import Recorded, WarningRaised
from chargehand.domain.secrecy import Vault

CANARY = 'canary"7d/2e+=55'
SHOWN = (CANARY, json.dumps(CANARY)[1:-1], base64.b64encode(CANARY.encode()).decode())


@pytest.fixture
def session(monkeypatch, tmp_path: Path) -> Session:
    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)
    return Session(words=("run", "plan.yaml"), crashes=tmp_path / "crashes")


def test_no_screen_and_no_document_holds_one():
    for as_json in (False, True):
        stdout, stderr = io.StringIO(), io.StringIO()
        out = Output(json=as_json, stdout=stdout, stderr=stderr, vault=Vault([CANARY]))
        out.document({"text": f"<{CANARY}>", "nested": [{"more": SHOWN[2]}]})
        out.record({"text": CANARY})
        out.say(CANARY, f"\x1b[31m{CANARY}")
        out.text("".join(f"{char}\x1b[0m" for char in CANARY))
        out.note(CANARY)
        out.tell(SHOWN[2])
        printed = stdout.getvalue() + stderr.getvalue()
        assert "[redacted]" in printed
        assert not any(shown in printed for shown in SHOWN)


def test_a_crash_report_holds_none(session: Session, capsys):
    session.recent.append(Recorded(seq=1, at=1.0, event=WarningRaised(code="x", text=f"said {CANARY}")))
    assert explain(ValueError(f"no good: {CANARY}"), session) == INTERNAL
    assert session.crashes is not None
    (report,) = session.crashes.iterdir()
    text = report.read_text()
    assert "no good: [redacted]" in text
    assert "said [redacted]" in text
    printed = "".join(capsys.readouterr())
    assert not any(shown in text + printed for shown in SHOWN)


def test_a_message_of_ours_holds_none(session: Session, capsys):
    error = UserError(f"The URL https://me:{CANARY}@host is wrong.", code="url", hint=f"Not {CANARY}.")
    assert explain(error, session) == USAGE
    assert "".join(capsys.readouterr()).count("[redacted]") == 2
