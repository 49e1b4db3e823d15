import json
import pathlib
import shutil
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


def test_a_quick_run_of_injection_gives_ratios_to_what_is_written_by_hand(tmp_path):
    """All cases are measured but the counted ones; those that a hand writes too are told as multiples of that."""
    written = tmp_path / "samples.json"
    done = bench("di", "--quick", "--no-peers", "--json", str(written))
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(written.read_text())["Injection"]}
    assert {"one", "diamond", "scope", "keyword bound", "leak", "concurrent", "memory", "cold"} <= set(rows)
    for case, row in rows.items():
        assert set(row["samples"]) == ({"buvar"} if case == "cold" else {"by hand", "buvar"})
        assert f"| {case} " in done.stdout


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="it takes long, and one interpreter shows it")
def test_instructions_are_counted_by_case(monkeypatch):
    """Each case asked for has the instructions of one run: six objects take more than one."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import di

    counted = di.count(di.Rival("hand"), "one", "chain")
    assert list(counted) == ["one", "chain"]
    assert 0 < counted["one"] < counted["chain"] < 100_000


def test_multiples_are_those_of_each_round(monkeypatch):
    """A relative row tells multiples of the samples by hand, another one the samples; who has none gets a dash."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import di

    samples = {"by hand": [1.0, 2.0, 3.0], "buvar": [2.0, 3.0, 9.0], "wireup": [3.0, 6.0, 9.0]}
    relative = di.Row("one", "ns", samples, "<= 1.70")
    assert relative.cells(["wireup", "dishka"]) == ["one", "2 ns", "2.00", "1.50-3.00", "<= 1.70", "3.00", "-"]
    bare = di.Row("cold", "ms", {"buvar": [2.0]}, relative=False)
    assert bare.cells(["wireup"]) == ["cold", "-", "2 ms", "-", "", "-"]


def test_an_unknown_benchmark_is_wrong_use():
    """A name that no benchmark has ends with code 2 and the names that there are."""
    done = bench("componets")
    assert done.returncode == 2
    assert "componets" in done.stderr
    assert "components, di, start, memory, throughput" in done.stderr


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
