import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_a_quick_run_without_peers_gives_rows(tmp_path):
    """The components are measured, printed as a table and written as samples, one for each case."""
    written = tmp_path / "samples.json"
    done = bench("components", "--quick", "--no-peers", "--json", str(written))
    assert done.returncode == 0, done.stderr
    rows = json.loads(written.read_text())["Components"]
    assert {"get", "miss", "push", "child"} <= {row["case"] for row in rows}
    for row in rows:
        assert row["ours"]
        assert all(sample > 0 for sample in row["ours"])
        assert row["ratios"] == []
        assert f"| {row['case']} " in done.stdout


def test_an_unknown_benchmark_is_wrong_use():
    """A name that no benchmark has ends with code 2 and the names that there are."""
    done = bench("componets")
    assert done.returncode == 2
    assert "componets" in done.stderr
    assert "components, start, memory, throughput" in done.stderr


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [([2.0, 3.0, 9.0], [1.0, 2.0, 3.0], ("2.00", "1.50-3.00")), ([1.0], [], ("-", "-"))],
)
def test_ratios_are_those_of_each_round(monkeypatch, ours, theirs, expected):
    """The ratio is the median of ours by theirs, round by round; without a peer there is none."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import rounds

    row = rounds.Row("case", "ns", ours, "peer", theirs)
    assert row.cells()[5:7] == expected
