"""The files beside this one are read by type checkers (see tests/test_typing.py); nothing of them is run."""

collect_ignore_glob = ["*.py"]
