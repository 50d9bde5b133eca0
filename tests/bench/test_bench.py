import csv
import json
import subprocess
import sys
import time

import pytest

from ordinal_blast import bench, cli
from ordinal_blast.bench.command import Result
from ordinal_blast.bench.growth import Growth
from ordinal_blast.bench.limits import Limits, measure
from ordinal_blast.bench.machine import Watch
from ordinal_blast.bench.processes import megabytes, run
from ordinal_blast.bench.work import OURS, Outcome, Row, Spread
from ordinal_blast.errors import UsageError, UserError

ROW = Row(
    name="w",
    title="A work",
    unit="ms",
    rounds=3,
    times={OURS: Spread(2.0, 1.5, 2.5), "peer": Spread(3.0, 3.0, 3.0)},
    ratios={"peer": Spread(1.5, 1.25, 1.75)},
    limit=1.0,
    share=0.5,
    best="peer",
    targets=[Outcome("1.4 × peer", 1.4, 1.5, True), Outcome("75 % of the limit", 0.75, 0.5, False)],
    skipped={"other": "other is not installed"},
    note="A note.",
    tried="Nothing helped.",
)
GROWTH = Growth("k", "A loss", "grades K", 1.0, "K outputs", [2, 4, 8, 16], [1.0, 1.1, 4.0, 16.0], [])
RESULT = Result(
    {"device": "cpu", "cores": "2", "precision": "float32"}, Limits({"XLA": 1e9}, 1e9), [ROW], [GROWTH], True, 3, 9.0
)


def test_the_table_says_times_ratios_and_targets():
    text = bench.table(RESULT)
    assert "A work: 2.000 ms, limit 1.000 ms, share 50%" in text
    assert "  peer: 3.000 ms, ratio 1.50 [1.25, 1.75]" in text
    assert "  without other: other is not installed" in text
    assert text.endswith("target 75 % of the limit: not met\nA loss, against grades K: exponent 2.00, expected 1")


def test_a_report_has_every_number(tmp_path):
    page = bench.write(RESULT, tmp_path / "out", "ordinal-blast bench").read_text()
    assert "1 of 2 targets are met." in page
    assert "Other programs took" not in page
    assert "Nothing helped." in page
    assert "Without other: other is not installed" in page
    ours, peer = csv.DictReader((tmp_path / "out/rows.csv").read_text().splitlines())
    assert (ours["contender"], ours["time"], peer["ratio_low"]) == (OURS, "2", "1.25")
    kept = json.loads((tmp_path / "out/rows.json").read_text())
    assert kept["rows"][0]["targets"][1]["reached"] == 0.5
    assert kept["growths"][0]["exponent"] == pytest.approx(2.0)
    assert (tmp_path / "out/figures/growth-k.svg").exists()
    bench.write(RESULT, tmp_path / "out", "ordinal-blast bench")  # its own report is replaced


def test_bad_usage_is_refused_before_anything_is_measured():
    with pytest.raises(UsageError, match="rounds"):
        bench.bench(rounds=0)
    with pytest.raises(UsageError, match="called no-such: there are xception-forward-1, "):
        bench.bench(only=["no-such"])


def test_list_measures_nothing(capsys, monkeypatch):
    monkeypatch.setattr(bench, "bench", None)
    assert cli.main(["bench", "--list"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split(maxsplit=1) == ["xception-forward-1", "Xception forward, 1 × 224 × 224 × 3"]
    assert len(printed) == len(bench.names()) == len(set(bench.names()))


def test_a_work_is_measured_from_the_command_line(capsys, monkeypatch):
    from ordinal_blast.bench import limits

    monkeypatch.setattr(limits, "SIDE", 8)
    monkeypatch.setattr(limits, "_MEGABYTES", 1)
    assert cli.main(["bench", "--quick", "--only", "simulator", "--rounds", "1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert list(row["times"]) == [OURS]
    assert row["times"][OURS]["median"] > 0


def test_what_was_measured_before_a_row_fails_is_printed(capsys, monkeypatch, tmp_path):
    def fails(keep, **options):
        keep(RESULT)
        raise MemoryError("no more")

    monkeypatch.setattr(bench, "bench", fails)
    assert cli.main(["bench", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "A work: 2.000 ms" in said.out
    assert said.err == "ordinal-blast: bench failed: MemoryError: no more; run again with --debug for the traceback\n"
    assert (tmp_path / "out/report.html").exists()


def test_a_folder_with_other_things_is_refused_before_anything_is_measured(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "bench", None)
    (tmp_path / "rows.csv").write_text("mine")
    assert cli.main(["bench", "--out", str(tmp_path)]) == 1
    assert "holds rows.csv, which no report of this program lists as its own" in capsys.readouterr().err


def test_limits_are_rates(monkeypatch):
    measured = measure(repeats=1, side=16)
    assert {"XLA", "NumPy"} <= set(measured.matrix)
    assert min(*measured.matrix.values(), measured.bandwidth) > 0


def test_a_process_says_what_it_held_and_why_it_failed():
    assert megabytes("x = bytearray(10**8)") - megabytes("pass") == pytest.approx(100, rel=0.1)
    with pytest.raises(UserError, match="no_such"):
        run(["python3", "-c", "import no_such"])


def test_a_watch_tells_the_work_of_others_from_our_own():
    watch, end = Watch(), time.perf_counter() + 0.2
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        while time.perf_counter() < end:
            pass
        busy = watch.others()
        other.kill()
    assert busy is None or 0 < busy <= 1
