"""Starts the scripted agent, as a module or by the path of this file."""
# importing `pathlib` would cost a quarter of the start-up time
# ruff: noqa: PTH100, PTH120

import sys

if __package__:
    from .player import main
else:  # run by path, with `python -I -S`: the package is all there is
    from os.path import abspath, dirname

    sys.path.append(dirname(dirname(abspath(__file__))))
    from scripted.player import main  # type: ignore[import-not-found,no-redef]

if __name__ == "__main__":
    sys.exit(main())
