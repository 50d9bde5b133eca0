"""The command line: each verb is a few lines that call one function."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ordinal_blast import __version__
from ordinal_blast.errors import UsageError, UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 (fine), 1 (failed) or 2 (bad usage), and says why in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if os.getcwd() not in sys.path:  # a loss or dataset of the user's own may lie in this folder
        sys.path.append(os.getcwd())
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    known.command = shlex.join(["ordinal-blast", *arguments])
    try:
        if rest and not known.configurable:
            raise UsageError(f"unknown argument {rest[0]}: ordinal-blast {known.verb} --help lists what there is")
        known.overrides = rest
        return known.run(known) or 0
    except UserError as error:
        print(f"ordinal-blast: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("ordinal-blast: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def demo(given: Any) -> int:
    """Ablate the losses on small simulated embryos, and report."""
    given.ablation, given.config = "ablations/losses.py", "configs/demo.py"
    return ablate(given)


def train(given: Any) -> int:
    """Train one configuration."""
    from ordinal_blast.study import grid

    config = _config(given)
    return _run(given, grid.single(config), config)


def ablate(given: Any) -> int:
    """Run a grid of variants and seeds, and report."""
    from ordinal_blast.study import grid

    config = _config(given)
    return _run(given, grid.ablation(given.ablation, config, given.seeds), config)


def report(given: Any) -> int:
    """Write the report of finished runs."""
    for folder in given.runs:
        if not (folder / "plan.json").exists():
            raise UsageError(f"{folder} holds no run (no plan.json): give the --workdir of train, ablate or demo")
    _report(given.runs, given.out, given.command)
    return 0


def data(given: Any) -> int:
    """Build the dataset of a configuration, or say what is in it."""
    from ordinal_blast.data import catalog
    from ordinal_blast.study import chain, inspection

    given.config = f"configs/{given.name}.py" if not given.name.endswith(".py") else given.name
    given.overrides += [f"--config.data.root={given.root}"] if given.root else []
    config = _config(given)
    folder = catalog.prepare(config.data)
    if given.action == "build":
        print(json.dumps({"built": str(folder)}) if given.json else f"Built: {folder}")
        return 0
    facts = inspection.facts(chain.material(config))
    print(json.dumps(facts, indent=1) if given.json else inspection.text(facts))
    return 0


def grade(given: Any) -> int:
    """Grade images or recordings with a trained run."""
    from ordinal_blast.study import grading

    graded = grading.grade(given.run_dir, given.inputs)
    print(json.dumps(graded, indent=1) if given.json else grading.text(graded))
    return 0


def bench(given: Any) -> int:
    """Time the networks on this device."""
    from ordinal_blast import bench as benchmark

    rows = benchmark.bench()
    print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) if given.json else benchmark.table(rows))
    return 0


def _config(given: Any) -> Any:
    from ordinal_blast.study import configuration

    return configuration.load(given.config, configuration.parse_overrides(given.overrides))


def _run(given: Any, plan: Any, config: Any) -> int:
    from ordinal_blast.study import runner, session

    failed = runner.run(plan, given.workdir, given.command, session.begin(config.devices))
    if len(failed) < len(plan.cells):
        command = shlex.join(["ordinal-blast", "report", str(given.workdir), "--out", str(given.workdir / "report")])
        _report([given.workdir], given.workdir / "report", command)
    if failed:
        names = ", ".join(failed)
        print(
            f"ordinal-blast: {len(failed)} of {len(plan.cells)} cells failed ({names}): see cells/<cell>/error.txt in "
            f"{given.workdir}, then run the same command again",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _report(runs: Sequence[Path], out: Path, command: str) -> None:
    from ordinal_blast import report as reports

    try:
        page = reports.write(runs, out, command)
        print(reports.table(runs))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write the report of {', '.join(map(str, runs))}: {error}") from error
    print(f"Report: {page}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ordinal-blast", description="Ordinal losses compared fairly.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Any, example: str, configurable: bool = False) -> argparse.ArgumentParser:
        text = (run.__doc__ or "").strip()
        more = "\nany setting: --config.a.b=value (the configuration file lists them)" if configurable else ""
        added = verbs.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example: {example}{more}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(run=run, configurable=configurable)
        return added

    def workdir(to: argparse.ArgumentParser, default: str | None) -> None:
        text = "folder of the run; the same command goes on where it stopped"
        to.add_argument("--workdir", type=Path, required=default is None, default=default, help=text)

    added = verb("demo", demo, "ordinal-blast demo", configurable=True)
    workdir(added, "runs/demo")
    added.add_argument("--seeds", type=int, default=2, help="how many seeds (2)")

    added = verb("data", data, "ordinal-blast data build retinamnist --root ~/medmnist", configurable=True)
    added.add_argument("action", choices=["build", "inspect"])
    added.add_argument("name", metavar="NAME", help="a configuration: configs/NAME.py")
    added.add_argument("--root", default="", help="folder of the source's files")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("train", train, "ordinal-blast train --config configs/demo.py --workdir runs/one", configurable=True)
    added.add_argument("--config", required=True, help="a configuration file")
    workdir(added, None)

    example = "ordinal-blast ablate ablations/losses.py --config configs/retinamnist.py --workdir runs/retina --seeds 5"
    added = verb("ablate", ablate, example, configurable=True)
    added.add_argument("ablation", help="an ablation file")
    added.add_argument("--config", required=True, help="a configuration file")
    workdir(added, None)
    added.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")

    added = verb("report", report, "ordinal-blast report runs/demo --out reports/demo")
    added.add_argument("runs", nargs="+", type=Path, metavar="DIR", help="work directories of train or ablate")
    added.add_argument("--out", type=Path, required=True, help="folder of the report")

    added = verb("grade", grade, "ordinal-blast grade --run runs/retina/cells/cross_entropy-s0 eye.png")
    added.add_argument("--run", dest="run_dir", type=Path, required=True, help="a finished cell")
    added.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="images, or .npz recordings")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("bench", bench, "ordinal-blast bench --json")
    added.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
