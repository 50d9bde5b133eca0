"""The command line: each verb is a few lines that call one function."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ordinal_blast import __version__
from ordinal_blast.errors import UsageError, UserError, told
from ordinal_blast.ranges import PATH


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 (fine), 1 (failed) or 2 (bad usage), and says why in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug, arguments = "--debug" in arguments, [each for each in arguments if each != "--debug"]
    given = None
    try:
        _print_anything()
        given = _parse(arguments)
        with _this_folder() if given.configurable else contextlib.nullcontext():
            code = given.run(given) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("ordinal-blast: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read our output, such as `head`, has gone; nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except BaseException as error:
        if given is None and isinstance(error, SystemExit):
            raise  # --help and --version; later on it is a user's own part that exits
        if debug:
            traceback.print_exc()
        print(f"ordinal-blast: {_told(error, given)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _told(error: BaseException, given: Any) -> str:
    if isinstance(error, UserError):
        return told(error)
    return f"{given.doing if given else 'cannot start'}: {told(error)}; run again with --debug for the traceback"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    given, rest = _parser().parse_known_args(arguments)
    if rest and not given.configurable:
        raise UsageError(f"unknown argument {rest[0]}: ordinal-blast {given.verb} --help lists what there is")
    given.overrides = rest
    given.command = shlex.join(["ordinal-blast", *arguments])
    given.doing = f"{given.verb} failed"  # what is said of an error that nobody foresaw
    return given


def _print_anything() -> None:
    """A terminal that lacks a letter gets its number; it must not cost the output."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _this_folder() -> Iterator[None]:
    """A loss or dataset of the user's own, named in the configuration, may lie in the present folder."""
    try:
        folder = os.getcwd()
    except OSError as error:
        raise UserError("the present folder is gone: change to one that exists") from error
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        yield
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


def demo(given: Any) -> int:
    """Ablate the losses on small simulated embryos, and report."""
    given.ablation, given.config = "ablations/losses.py", "configs/demo.py"
    return ablate(given)


def train(given: Any) -> int:
    """Train one configuration."""
    from ordinal_blast.study import grid

    config = _config(given)
    grid.check_changes(given.changes, config)
    return _run(given, grid.single(config), config)


def ablate(given: Any) -> int:
    """Run a grid of variants and seeds, and report."""
    from ordinal_blast.study import grid

    config = _config(given)
    grid.check_changes(given.changes, config)
    return _run(given, grid.ablation(given.ablation, config, given.seeds), config)


def report(given: Any) -> int:
    """Write the report of finished runs."""
    _check_folder("--out", given.out)
    _report(given, given.runs, given.out, given.command)
    return 0


def data(given: Any) -> int:
    """Build the dataset of a configuration, or say what is in it."""
    from ordinal_blast.data import catalog, inspection, material

    given.config = given.name
    given.overrides += [f"--config.data.root={given.root}"] if given.root else []
    config = _config(given)
    folder = catalog.prepare(config.data)
    if given.action == "build":
        print(json.dumps({"built": str(folder)}) if given.json else f"Built: {folder}")
        return 0
    facts = inspection.facts(material.open(config.data, config.tasks))
    print(json.dumps(facts, indent=1) if given.json else inspection.text(facts))
    return 0


def grade(given: Any) -> int:
    """Grade images, recordings or tables with a trained run."""
    from ordinal_blast.study import grading

    refused: list[UserError] = []
    graded = grading.grade(given.run_dir, given.inputs, trust=given.trust, refuse=refused.append)
    if graded or given.json:
        print(json.dumps(graded, indent=1) if given.json else grading.text(graded))
    for error in refused:
        print(f"ordinal-blast: {told(error)}", file=sys.stderr)
    return 1 if refused else 0


def bench(given: Any) -> int:
    """Time the networks on this device."""
    from ordinal_blast import bench as benchmark

    rows = benchmark.bench()
    print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) if given.json else benchmark.table(rows))
    return 0


def _config(given: Any) -> Any:
    from ordinal_blast.study import configuration

    given.changes = configuration.parse_overrides(given.overrides)
    return configuration.load(given.config, given.changes)


def _run(given: Any, plan: Any, config: Any) -> int:
    from ordinal_blast.study import runner, session

    _check_folder("--workdir", given.workdir)
    failed = runner.run(plan, given.workdir, given.command, session.begin(config.devices))
    if len(failed) < len(plan.cells):
        command = shlex.join(["ordinal-blast", "report", str(given.workdir), "--out", str(given.workdir / "report")])
        _report(given, [given.workdir], given.workdir / "report", command)
    if failed:
        names = ", ".join(failed)
        print(
            f"ordinal-blast: {len(failed)} of {len(plan.cells)} cells failed ({names}): see cells/<cell>/error.txt in "
            f"{given.workdir}, then run the same command again",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _report(given: Any, runs: Sequence[Path], out: Path, command: str) -> None:
    from ordinal_blast import report as reports

    given.doing = f"cannot write the report of {', '.join(map(str, runs))}"
    try:
        page, table = reports.write(runs, out, command), reports.table(runs)
    except OSError as error:
        raise UserError(f"{given.doing}: {error}") from error
    given.doing = f"cannot print what stands in {page}"
    print(table)
    print(f"Report: {page}")


def _check_folder(option: str, folder: Path) -> None:
    """Raise UsageError where nothing can be written in `folder`, before any work rather than after it."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError as error:  # checkpoints cannot lie there
        raise UsageError(f"{option} {str(folder.absolute())!r} is no text in UTF-8: name it otherwise") from error
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: {there} is not a folder: give another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {folder}: {there} may not be written: give another folder")


def _path(text: str) -> Path:
    """The path; argparse makes one line, with the name of the argument, of what is raised for any other text."""
    if not PATH.holds(text):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no path: give {PATH.words}")
    return Path(text)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; {self.prog} --help lists what there is")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ordinal-blast", description="Ordinal losses compared fairly.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
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
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        added.set_defaults(run=run, configurable=configurable)
        return added

    config = "a configuration file, or NAME for configs/NAME.py"

    def workdir(to: argparse.ArgumentParser, default: str | None) -> None:
        text = "folder of the run; the same command goes on where it stopped"
        to.add_argument("--workdir", type=_path, required=default is None, default=default, help=text)

    added = verb("demo", demo, "ordinal-blast demo", configurable=True)
    workdir(added, "runs/demo")
    added.add_argument("--seeds", type=int, default=2, help="how many seeds (2)")

    added = verb("data", data, "ordinal-blast data build retinamnist --root ~/medmnist", configurable=True)
    added.add_argument("action", choices=["build", "inspect"])
    added.add_argument("name", metavar="NAME", help=config)
    added.add_argument("--root", default="", help="folder of the source's files")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("train", train, "ordinal-blast train --config configs/demo.py --workdir runs/one", configurable=True)
    added.add_argument("--config", required=True, help=config)
    workdir(added, None)

    example = "ordinal-blast ablate ablations/losses.py --config configs/retinamnist.py --workdir runs/retina --seeds 5"
    added = verb("ablate", ablate, example, configurable=True)
    added.add_argument("ablation", help="an ablation file, or NAME for ablations/NAME.py")
    added.add_argument("--config", required=True, help=config)
    workdir(added, None)
    added.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")

    added = verb("report", report, "ordinal-blast report runs/demo --out reports/demo")
    added.add_argument("runs", nargs="+", type=_path, metavar="DIR", help="work directories of train or ablate")
    added.add_argument("--out", type=_path, required=True, help="folder of the report")

    added = verb("grade", grade, "ordinal-blast grade --run runs/retina/cells/cross_entropy-s0 eye.png")
    added.add_argument("--run", dest="run_dir", type=_path, required=True, help="a finished cell")
    added.add_argument(
        "inputs", nargs="+", type=_path, metavar="INPUT", help="images, .npz recordings, .csv tables, folders"
    )
    text = (
        "a run may name a loss from outside this package: import and run that code, from FOLDER or as installed; "
        "without this nothing that a run names is imported, not even from the current directory"
    )
    added.add_argument("--trust", type=_path, metavar="FOLDER", help=text)
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("bench", bench, "ordinal-blast bench --json")
    added.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the present folder, by `python -m`: `main` puts it there for commands that name parts
    sys.exit(main())
