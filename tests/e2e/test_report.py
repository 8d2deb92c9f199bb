"""`chargehand report` of a run in which much happened: what it says, where it is written, how a browser takes it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from chargehand.domain.errors import UserError
from chargehand.report import model
from chargehand.report.html import to_html
from chargehand.report.markdown import to_markdown
from chargehand.wiring.reporting import tell_report, write_report
from tests.e2e.browser import find_browser
from tests.e2e.cliworld import CliWorld, task
from tests.e2e.reported import play_rich
from tests.e2e.world import World
from tests.repos import Repo, hermetic_environment


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The run, played once."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "home").mkdir()
    repo = Repo(path=folder / "project", environ=hermetic_environment(folder / "home")).init()
    repo.write("README.md", "A project.\n")
    repo.commit("base")
    world = World(repo=repo, folder=folder)
    play_rich(world)
    return world


@pytest.fixture(scope="module")
def told(rich: World) -> model.Report:
    return tell(rich)


@pytest.fixture(scope="module")
def page(rich: World, told: model.Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(to_html(told), encoding="utf-8")
    return file


def tell(world: World) -> model.Report:
    async def read() -> model.Report:
        return await tell_report(await world.shop(()), world.run)

    return asyncio.run(read())


def one(told: model.Report, name: str) -> model.TaskPage:
    return next(each for each in told.tasks if each.id == name)


# -- what it says ---------------------------------------------------------------------------------


def test_each_task_is_told_as_it_ended(told: model.Report) -> None:
    """I12."""
    marks = {each.id: (each.mark.word, each.reason) for each in told.tasks}
    assert marks["model"] == ("integrated", "")
    assert marks["ui"] == ("skipped", "human")
    assert marks["deploy"] == ("blocked", "by ui")
    assert told.mark.word == "failed"
    assert told.said[0] == "7 of 9 tasks on the branch. Not landed: ui (skipped), deploy (blocked)."
    assert told.sandbox_warning


def test_attempts_say_who_did_what_and_what_came_of_it(told: model.Report) -> None:
    rows = [(row.number, row.role, row.mark.word) for row in one(told, "model").attempts]
    assert rows == [
        (1, "implementer", "good evidence"),
        (2, "spec-reviewer", "PASS"),
        (3, "quality-reviewer", "FAIL"),
        (4, "fixer", "good evidence"),
        (5, "quality-reviewer", "PASS"),
    ]
    retried = one(told, "api").attempts
    assert [row.mark.word for row in retried][:2] == ["sent back", "good evidence"]
    assert retried[0].claim == "DONE: All done!"
    assert any("does not use the model" in gate.tail for gate in one(told, "api").gates)


def test_findings_are_resolved_or_parked_with_a_ruling(told: model.Report) -> None:
    """SPEC 4: nothing major is silently continued."""
    found = {(each.severity, each.mark.word, each.ruling) for each in one(told, "model").findings}
    assert ("major", "resolved", "") in found
    assert ("minor", "parked", "its own severity holds nothing up") in found
    assert [each.severity for each in told.parked] == ["minor", "note", "minor"]
    assert told.open_findings == ()


def test_a_verdict_names_the_tree_it_counts_for(told: model.Report) -> None:
    """I7."""
    rows = one(told, "model").verdicts
    assert [(row.stage, row.mark.word, row.carried) for row in rows] == [
        ("spec", "PASS", False),
        ("quality", "FAIL", False),
        ("spec", "PASS", True),
        ("quality", "PASS", False),
    ]
    assert rows[0].tree == rows[1].tree != rows[2].tree == rows[3].tree


def test_success_criteria_are_ticked_by_a_verdict_or_not_at_all(told: model.Report) -> None:
    """I6."""
    assert [(each.text, each.mark.word) for each in told.criteria] == [
        ("Todos can be added", "met"),
        ("It runs on a server", "not judged by anybody"),
    ]


def test_flakes_red_gates_of_the_base_and_answers_are_told(told: model.Report) -> None:
    assert [(name, gate) for name, _, gate in told.flakes] == [("store", "verify-1")]
    assert [(line.gate, line.mark.word) for line in told.final_gates] == [
        ("tests", "pass"),
        ("legacy", "red as on the base"),
    ]
    assert [line.gate for line in told.baseline] == ["legacy"]
    asked = one(told, "migrate").questions
    assert [(each.answer, each.by, each.note) for each in asked] == [("approve", "uma", "for now")]


def test_the_change_is_what_git_says_landed(rich: World, told: model.Report) -> None:
    changed = one(told, "model").change
    assert changed is not None
    assert changed.landed
    landed = rich.task("model")["landed"]
    assert (changed.base, changed.commit) == (rich.repo.git("rev-parse", f"{landed}^1"), landed)
    numbers = rich.repo.git("diff", "--numstat", f"{landed}^1", landed).splitlines()
    assert [f"{file.added}\t{file.removed}\t{file.path}" for file in changed.files] == numbers
    left = one(told, "ui").change
    assert left is not None
    assert not left.landed
    assert [file.path for file in left.files] == ["todo/ui.py"]


def test_binary_and_large_files_are_told_and_not_shown(told: model.Report) -> None:
    change = one(told, "assets").change
    assert change is not None
    files = {file.path: file for file in change.files}
    assert files["assets/pixel.bin"].binary
    assert files["assets/table.csv"].added == 3000
    assert files["assets/table.csv"].cut > 2000
    assert "chargehand show assets --diff" in change.note


def test_the_timeline_has_a_row_for_each_task_that_began(told: model.Report) -> None:
    assert told.timeline is not None
    assert [row.label for row in told.timeline.rows] == [
        "the run itself",
        *("model", "store", "api", "ui", "docs", "assets", "migrate", "cleanup"),
    ]
    assert {"author", "review", "gates", "merge", "decision"} <= set(told.timeline.kinds)
    row = told.timeline.rows[1].bars
    starts = [bar.x for bar in row]
    assert starts == sorted(starts)


def test_a_page_and_its_markdown_are_never_the_plans(told: model.Report) -> None:
    """SPEC 7.4: the plan, the agent and a file name of this run hold scripts, mentions and control characters."""
    text = to_html(told)
    assert "<script" not in text.replace("&lt;script", "")
    assert "docs/&lt;b&gt;index&lt;/b&gt;.md" in text
    short = to_markdown(told)
    assert "<script" not in short
    assert "@everyone" not in short
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e]", text + short)


def test_the_markdown_says_what_was_verified_and_how_to_check_it(told: model.Report) -> None:
    text = to_markdown(told)
    assert (
        "| `model` Todo model | ✓ integrated | 2 files, +15 −0 | spec PASS, quality PASS | ✓ 2 ran, all green |" in text
    )
    assert "- ✓ `tests` pass on the final tree" in text
    assert "- [x] Todos can be added" in text
    assert "- [ ] It runs on a server *(not judged by anybody)*" in text
    assert "`chargehand receipt verify test-1`" in text
    assert len(text) < 6000


# -- a browser ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_browser_shows_the_page_and_nothing_in_it_runs(page: Path, tmp_path: Path) -> None:
    browser = find_browser(tmp_path / "browser")
    dom = browser.dom(page)
    assert "<script" not in dom
    assert "<img" not in dom
    assert 'class="node n-bad"' in dom
    assert dom.count('<details class="task"') == 9
    for width in (1280, 375):
        assert browser.picture(page, tmp_path / f"{width}.png", width, 900)[0] == width
        assert (tmp_path / f"{width}.png").stat().st_size > 20_000  # a blank page is a tenth of that


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_is_as_wide_as_the_screen_and_styled(page: Path, tmp_path: Path, width: int) -> None:
    """Measured in the browser itself, by a script that the page's own policy has to be taken out for."""
    browser = find_browser(tmp_path / "browser")
    text = page.read_text(encoding="utf-8")
    measured = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace(
        "<details ", "<details open "
    )
    script = (
        "<script>addEventListener('load', () => { document.title = JSON.stringify({"
        "wide: document.documentElement.scrollWidth, screen: innerWidth,"
        "font: getComputedStyle(document.querySelector('.badge')).borderRadius}) })</script>"
    )
    frame = tmp_path / "frame.html"
    (tmp_path / "measured.html").write_text(measured.replace("</body>", f"{script}</body>"), encoding="utf-8")
    frame.write_text(
        f"<iframe id=f width={width} height=800 src=measured.html style='border:0'></iframe>"
        "<script>onload = () => setTimeout(() => { document.body.append(f.contentDocument.title) }, 500)</script>"
    )
    dom = browser._run("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri())
    found = re.search(r"\{[^{}]*\}(?=</body>)", dom.decode())
    assert found, dom[-500:]
    told = json.loads(found[0])
    assert told["screen"] == width
    assert told["wide"] <= width
    assert told["font"] == "16px" or told["font"] == "15px"


# -- where it is written --------------------------------------------------------------------------


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    world = CliWorld(repo, tmp_path / "cli")
    done = world.run(world.plan([task("a")]))
    assert done.code == 0, done.stderr
    return world


def test_the_page_goes_into_the_folder_of_the_run_and_nothing_of_the_users_changes(cli: CliWorld) -> None:
    """I1."""
    before = (cli.repo.git("status", "--porcelain", "--ignored"), cli.repo.git("for-each-ref"))
    done = cli.call("report", "--json")
    assert done.code == 0, done.stderr
    path = Path(done.document["path"])
    assert done.document == {"path": str(path), "format": "html", "run": "todo-1"}
    assert path == cli.repo.path / ".git" / "chargehand" / "runs" / "todo-1" / "chargehand-report-todo-1.html"
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (cli.repo.git("status", "--porcelain", "--ignored"), cli.repo.git("for-each-ref")) == before
    assert cli.call("report").stdout == f"{path}\n"
    links = re.findall(r'href="(\./[^"]+)"', path.read_text(encoding="utf-8"))
    assert links
    assert all((path.parent / link).is_file() for link in links)


def test_output_is_a_file_a_folder_or_stdout(cli: CliWorld) -> None:
    there = cli.folder / "there"
    there.mkdir()
    assert cli.call("report", "--output", there).stdout == f"{there / 'chargehand-report-todo-1.html'}\n"
    assert cli.call("report", "--markdown", "-o", there / "pr.md").code == 0
    text = (there / "pr.md").read_text(encoding="utf-8")
    assert cli.call("report", "--markdown", "--output", "-").stdout == text
    assert sorted(file.name for file in there.iterdir()) == ["chargehand-report-todo-1.html", "pr.md"]
    assert "./" not in re.findall(r'href="(..)', (there / "chargehand-report-todo-1.html").read_text(encoding="utf-8"))


def test_what_cannot_be_written_or_said_is_an_error_with_a_next_step(cli: CliWorld) -> None:
    missing = cli.call("report", "--output", cli.folder / "gone" / "x.html", "--json")
    assert missing.code == 2
    assert missing.document["error"]["code"] == "unwritable"
    assert cli.call("report", "--json", "--output", "-").document["error"]["code"] == "bad_option"
    assert cli.call("report", "nothing").code == 2


def test_open_shows_the_page_in_the_browser_of_the_user(cli: CliWorld) -> None:
    program, seen = cli.folder / "browser", cli.folder / "seen"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}.new && mv {seen}.new {seen}\n')
    program.chmod(0o755)
    done = cli.call("report", "--open", env={"BROWSER": f"{program} %s"})
    assert done.code == 0
    assert seen.read_text() == Path(done.stdout.strip()).as_uri()


def test_a_report_is_replaced_as_a_whole(cli: CliWorld, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    target.chmod(0o444)
    assert cli.call("report", "-o", target).code == 0
    assert target.read_text(encoding="utf-8").endswith("</html>")
    assert [file.name for file in tmp_path.glob("report.html*")] == ["report.html"]


def test_writing_into_a_folder_that_is_none_is_the_users_mistake(rich: World, tmp_path: Path) -> None:
    async def write() -> None:
        write_report(await rich.shop(()), rich.run, "x", ".html", tmp_path / "a" / "b")

    with pytest.raises(UserError, match="could not be written"):
        asyncio.run(write())
