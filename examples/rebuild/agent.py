"""The agent of the rebuild: writes the modules of its task as they are in the original.

    agent.py ORIGINAL TASKS

ORIGINAL is the folder of the unpacked source distribution, TASKS a JSON file of task ids and the files of each.
Everything else is the contract of every command agent: the workspace is the current folder, `CHARGEHAND_TASK` says
which task it is, the report goes to `CHARGEHAND_RESULT`. Standard library only.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Copy, commit, report."""
    original, tasks = Path(sys.argv[1]), Path(sys.argv[2])
    task = os.environ["CHARGEHAND_TASK"]
    sys.stdin.read()  # the brief; a real agent would read it
    files = json.loads(tasks.read_text())[task]
    for name in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original / name, name)  # the permissions are part of the tree
    subprocess.run(["git", "add", "--force", "--", *files], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", f"Write {', '.join(files)}"], check=True)
    report = {"status": "DONE", "summary": f"Wrote {len(files)} files.", "files_changed": files}
    Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
