"""Starts the scripted agent, as a module or by the path of this file."""
# importing `pathlib` would cost a quarter of the start-up time
# ruff: noqa: PTH100, PTH120

import sys

if __package__:
    from .player import main
else:  # run by path, with `python -I -S`: the package is all there is
    from os.path import abspath, dirname

    # Known by name, so that nobody looks for it in the folder above: a sandbox may not let that be listed.
    sys.modules["scripted"] = package = type(sys)("scripted")
    package.__path__ = [dirname(abspath(__file__))]
    from scripted.player import main  # type: ignore[import-not-found,no-redef]

if __name__ == "__main__":
    sys.exit(main())
