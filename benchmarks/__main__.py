"""``python -m benchmarks [name …] [--quick] [--no-peers] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib

NAMES = ("components", "di", "config", "start", "memory", "throughput", "http", "fork", "fairness", "router")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What buvar costs, as ratios beside its peers."
    )
    made.add_argument("names", nargs="*", metavar="name", help=f"what to measure, of {', '.join(NAMES)} (default: all)")
    made.add_argument(
        "--quick", action="store_true", help="few, short rounds: to see that it works, not to learn a figure"
    )
    made.add_argument("--no-peers", action="store_true", help="measure ours alone")
    made.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all samples to FILE, too")
    return made


def main() -> None:
    words = parser()
    given = words.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        words.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(NAMES)}")
    tables = []
    for name in given.names or NAMES:
        table = importlib.import_module(f"{__package__}.{name}").run(quick=given.quick, with_peers=not given.no_peers)
        print(table, end="\n\n", flush=True)
        tables.append(table)
    if given.json:
        written = {table.title: [row.record() for row in table.rows] for table in tables}
        given.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
