"""The command line: each verb is a few lines that call one function."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import traceback
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ordinal_blast import parts
from ordinal_blast.command_line import ABOUT, Run, parser
from ordinal_blast.errors import UsageError, UserError, needs, one_line, reason

if TYPE_CHECKING:  # importing them takes a second
    from ordinal_blast.settings import Settings
    from ordinal_blast.study.plan import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 (fine), 1 (failed) or 2 (bad usage), and says why in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug, arguments = "--debug" in arguments, [text for text in arguments if text != "--debug"]
    args = None
    try:
        _print_anything()
        args = _parse(arguments)
        with needs(args.extras), parts.importable() if args.configurable else contextlib.nullcontext():
            code = args.run(args) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        more = "; the same command goes on from the last checkpoint" if hasattr(args, "workdir") else ""
        print(f"ordinal-blast: interrupted{more}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read our output, such as `head`, has gone; nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except BaseException as error:
        if args is None and isinstance(error, SystemExit):
            raise  # --help and --version; later on it is a user's own part that exits
        if debug:
            traceback.print_exc()
        print(f"ordinal-blast: {_message(error, args)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _message(error: BaseException, args: argparse.Namespace | None) -> str:
    if isinstance(error, UserError):
        return one_line(error)
    return f"{args.doing if args else 'cannot start'}: {one_line(error)}; run again with --debug for the traceback"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    args, rest = parser(_VERBS).parse_known_args(arguments)
    if rest and not args.configurable:
        raise UsageError(f"unknown argument {rest[0]}: ordinal-blast {args.verb} --help lists what there is")
    args.overrides = rest
    args.command = shlex.join(["ordinal-blast", *arguments])
    args.doing = f"{args.verb} failed"  # what is said of an error that nobody foresaw
    return args


def _print_anything() -> None:
    """A terminal that lacks a letter gets its number; it must not cost the output."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def demo(args: argparse.Namespace) -> int:
    """Ablate the losses on small simulated embryos, and report."""
    args.ablation, args.config = "ablations/losses.py", "configs/demo.py"
    return ablate(args)


def train(args: argparse.Namespace) -> int:
    """Train one configuration."""
    from ordinal_blast.study import plan

    return _run(args, lambda chosen: {"": plan.single(chosen)})


def ablate(args: argparse.Namespace) -> int:
    """Run a grid of variants and seeds, and report."""
    from ordinal_blast.study import plan

    return _run(args, lambda chosen: {"": plan.ablation(args.ablation, chosen, args.seeds)})


def study(args: argparse.Namespace) -> int:
    """Ask every question of a configuration, each an ablation, and report on all."""
    from ordinal_blast.study import questions

    return _run(args, lambda chosen: questions.plans(chosen, args.seeds))


def report(args: argparse.Namespace) -> int:
    """Write the report of finished runs."""
    _check_folder("--out", args.out)
    asked = {name: getattr(args, name) for name in ("reference", "subject", "primary", "equivalence")}
    _report(
        args, args.runs, args.out, args.command, {name: value for name, value in asked.items() if value is not None}
    )
    return 0


def status(args: argparse.Namespace) -> int:
    """Say how far a work directory is, and how long it will take."""
    from ordinal_blast.study import status as looked

    facts = looked.facts(args.run_dir)
    print(json.dumps(facts, indent=1) if args.json else looked.text(facts))
    return 0


def data(args: argparse.Namespace) -> int:
    """Build the dataset of a configuration or a source, say what is in it, or list the frames of a folder."""
    from ordinal_blast.data import catalog, inspection, material

    if args.action == "manifest":
        return _manifest(args)
    chosen = _data_settings(args)
    if args.action == "build":
        folder = catalog.prepare(chosen.data)
        print(json.dumps({"built": str(folder)}) if args.json else f"Built: {folder}")
        return 0
    facts = inspection.facts(material.look(chosen.data, chosen.tasks))
    print(json.dumps(facts, indent=1) if args.json else inspection.text(facts))
    return 0


def settings(args: argparse.Namespace) -> int:
    """List every setting: its meaning, its default, what it may be, and what a configuration changes."""
    from ordinal_blast import manual

    chosen, _ = _settings(args)
    print(json.dumps(manual.rows(chosen), indent=1) if args.json else manual.text(chosen))
    return 0


def grade(args: argparse.Namespace) -> int:
    """Grade images, recordings or tables with a trained run."""
    from ordinal_blast.study import graded_lines, grading

    refused: list[UserError] = []
    graded = grading.grade(
        args.run_dir, args.inputs, level=args.level, ensemble=args.ensemble, trust=args.trust, refuse=refused.append
    )
    if args.csv and graded:
        with needs("report"):
            import pandas as pd

            from ordinal_blast.report import spreadsheets
        print(spreadsheets.csv(pd.DataFrame(graded_lines.rows(graded))).decode(), end="")
    elif graded or args.json:
        print(json.dumps(graded, indent=1) if args.json else graded_lines.text(graded))
    for error in refused:
        print(f"ordinal-blast: {one_line(error)}", file=sys.stderr)
    return 1 if refused else 0


def raters(args: argparse.Namespace) -> int:
    """Say how far several raters of the same items agree, what they vote, and who of them is odd."""
    from ordinal_blast.embryo import rater_files
    from ordinal_blast.report import rater_page

    if args.out is not None:
        _check_folder("--out", args.out)
    of = rater_files.raters(
        *args.files,
        grades=dict(args.grades),
        votes=args.votes,
        ties=args.ties,
        networks=args.network,
        released=args.released,
        encoding=args.encoding,
        out=args.out,
        command=args.command,
    )
    print(json.dumps(rater_page.facts(of), indent=1) if args.json else rater_page.plain(of))
    if args.out is not None:
        print(f"Report: {args.out / 'report.html'}", file=sys.stderr if args.json else sys.stdout)
    return 0


def import_(args: argparse.Namespace) -> int:
    """Make a work directory of predictions that were made elsewhere, and report."""
    from ordinal_blast.embryo import kromp_networks
    from ordinal_blast.report import imported

    _check_folder("--workdir", args.workdir)
    options: dict[str, Any] = {"about": imported.About(**{n: getattr(args, n) for n in ABOUT if getattr(args, n)})}
    predictions: Any = args.files
    if theirs := kromp_networks.read(args.files):
        predictions, options = theirs.predictions, {"about": kromp_networks.ABOUT, "raters": theirs.raters}
        args.votes = args.votes or theirs.votes
    elif args.raters is not None:
        options["raters"] = args.raters
    study = imported.from_predictions(
        predictions,
        args.workdir,
        votes=args.votes,
        asks=args.question,
        reference=args.reference,
        subject=args.subject,
        primary=args.primary,
        equivalence=args.equivalence,
        command=args.command,
        **options,
    )
    print(study)
    out = args.workdir / "report"
    _report(args, [args.workdir], out, shlex.join(["ordinal-blast", "report", str(args.workdir), "--out", str(out)]))
    return 0


def review(args: argparse.Namespace) -> int:
    """Write a page on which a person grades the images of a run, a folder or a sheet by keyboard, offline."""
    from ordinal_blast.report import review as pages

    refused: list[UserError] = []
    said = pages.review(
        args.out,
        input=args.input,
        run=args.run_dir,
        grades=dict(args.grades),
        annotations=args.annotations,
        rater=args.rater,
        split=args.split,
        most=args.most,
        pixels=args.pixels,
        trust=args.trust,
        refuse=refused.append,
    )
    for error in refused:
        print(f"ordinal-blast: {one_line(error)}; left out", file=sys.stderr)
    print(said)
    return 1 if refused else 0


def explain(args: argparse.Namespace) -> int:
    """Show on one page what the network of a trained run sees in an image."""
    from ordinal_blast.study import explaining

    if args.out.is_dir():
        raise UsageError(f"--out {args.out} is a folder: give the page a name, such as {args.out / 'page.html'}")
    _check_folder("--out", args.out.absolute().parent)
    insight = explaining.explain(
        args.run_dir, args.image, of=args.of, layer=args.layer, level=args.level, tested=args.test, trust=args.trust
    )
    from ordinal_blast.report import insight_page

    args.out.parent.mkdir(parents=True, exist_ok=True)
    insight_page.write(insight, args.out, args.command)
    if args.json:
        print(json.dumps(insight_page.shares(insight), indent=1))
    print(f"Page: {args.out}", file=sys.stderr if args.json else sys.stdout)
    return 0


def export(args: argparse.Namespace) -> int:
    """Write the grader of a trained run as one file that runs without this package, or its weights."""
    from ordinal_blast.study import exporting

    if os.path.lexists(args.out):
        raise UsageError(f"--out {args.out}: there is something already: give another name, or remove it")
    _check_folder("--out", args.out)
    facts = exporting.export(args.run_dir, args.out, level=args.level, trust=args.trust)
    print(json.dumps(facts, indent=1) if args.json else exporting.text(facts))
    return 0


def bench(args: argparse.Namespace) -> int:
    """Measure speed beside other libraries and what this machine can do."""
    from ordinal_blast import bench as benchmark

    if args.list:
        print("\n".join(f"{name:20} {title}" for name, title in benchmark.names(args.quick).items()))
        return 0
    if args.out:
        _check_folder("--out", args.out)
        benchmark.check(args.out)
    measured: list[benchmark.Result] = []

    def keep(result: benchmark.Result) -> None:
        measured[:] = [result]
        if args.out:  # after every row: a run that is killed leaves what it measured
            benchmark.write(result, args.out, args.command)

    try:
        measured[:] = [benchmark.bench(quick=args.quick, only=args.only, rounds=args.rounds, keep=keep)]
    finally:  # what was measured before a row fails, or the user has enough
        for result in measured:
            print(json.dumps(result.json(), indent=1) if args.json else benchmark.table(result))
    if args.out:
        print(f"Report: {args.out / 'report.html'}", file=sys.stderr if args.json else sys.stdout)
    return 0


def _settings(args: argparse.Namespace) -> tuple[Settings, dict[str, str]]:
    """The settings of the configuration, and what the command changes of them."""
    from ordinal_blast.settings import Settings, load, override, parse_overrides

    changes = parse_overrides(args.overrides)
    return override(Settings(), changes) if args.config is None else load(args.config, changes), changes


def _manifest(args: argparse.Namespace) -> int:
    """Write the manifest of a folder of time-lapse frames."""
    from ordinal_blast.embryo import frame_names

    if args.overrides:
        raise UsageError(f"unknown argument {args.overrides[0]}: data manifest takes no settings")
    out = args.out or Path(args.name) / "manifest.csv"
    if os.path.lexists(out):
        raise UsageError(f"{out}: there is something already: give another name by --out, or remove it")
    manifest = frame_names.read(Path(args.name), args.pattern, every=args.every, first=args.first)
    try:
        out.write_text(frame_names.table(manifest.frames))
    except OSError as error:
        raise UserError(f"cannot write {out}: {reason(error)}; give another place by --out") from error
    if args.json:
        print(json.dumps({"manifest": str(out), "patterns": manifest.patterns, "left_out": list(manifest.others)}))
    else:
        print(frame_names.said(manifest, out))
    return 0


def _data_settings(args: argparse.Namespace) -> Settings:
    """The settings of the configuration that NAME is, or of the source: its files are then where --root says, or in the
    folder of its name among the data sets.
    """
    from ordinal_blast.data.catalog import sources
    from ordinal_blast.settings import find

    args.config = args.name
    try:
        find(args.name)
    except UsageError as error:
        if args.name not in sources():
            raise UsageError(f"{error}; or a source: {', '.join(sorted(sources()))}") from error
        args.config = None
        root = args.root or os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), args.name)
        args.overrides = [f"--config.data.source={args.name}", f"--config.data.root={root}", *args.overrides]
    else:
        args.overrides += [f"--config.data.root={args.root}"] if args.root else []
    return _settings(args)[0]


def _run(args: argparse.Namespace, planned: Callable[[Settings], dict[str, Plan]]) -> int:
    """Run plans, by the name of their folder in --workdir, where "" is that itself; report what finished."""
    from ordinal_blast.study import plan as plans
    from ordinal_blast.study import questions, runner, session
    from ordinal_blast.training import parallel

    chosen, changes = _settings(args)
    plans.check_changes(changes, chosen)
    asked = planned(chosen)
    _check_folder("--workdir", args.workdir)
    begun, allow = session.begin(chosen.devices, chosen.compiled), args.allow_changed_code
    if "" in asked:
        failed = runner.run(asked[""], args.workdir, args.command, begun, allow_changed_code=allow)
    else:
        failed = questions.run(asked, args.workdir, args.command, begun, allow_changed_code=allow)
    begun.progress.say(f"Memory held at most: {parallel.peak_memory(begun.devices) / 1000:.1f} GB")
    count = sum(len(plan.cells) for plan in asked.values())
    if len(failed) < count:
        command = shlex.join(["ordinal-blast", "report", str(args.workdir), "--out", str(args.workdir / "report")])
        _report(args, [args.workdir], args.workdir / "report", command)
    if failed:
        names, place = ", ".join(failed), "cells/<cell>" if "" in asked else "<question>/cells/<cell>"
        print(
            f"ordinal-blast: {len(failed)} of {count} cells failed ({names}): see {place}/error.txt in {args.workdir}, "
            "then run the same command again",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _report(
    args: argparse.Namespace,
    runs: Sequence[Path],
    out: Path,
    command: str,
    asked: Mapping[str, Any] | None = None,
) -> None:
    from ordinal_blast import report as reports

    args.doing = f"cannot write the report of {', '.join(map(str, runs))}"
    try:
        studies = [study.asking(**asked) if asked else study for study in reports.read(runs)]
        page, table = reports.write(studies, out, command), reports.table(studies)
    except OSError as error:
        raise UserError(f"{args.doing}: {error}") from error
    args.doing = f"cannot print what stands in {page}"
    print(table)
    print(f"Report: {page}")
    if getattr(args, "open", False) and not webbrowser.open(page.absolute().as_uri()):
        print("ordinal-blast: no browser to open it with", file=sys.stderr)


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


_VERBS: Mapping[str, Run] = {
    "demo": demo,
    "data": data,
    "train": train,
    "ablate": ablate,
    "study": study,
    "report": report,
    "status": status,
    "grade": grade,
    "raters": raters,
    "import": import_,
    "review": review,
    "explain": explain,
    "export": export,
    "settings": settings,
    "bench": bench,
}


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the present folder, by `python -m`: `main` puts it there for commands that name parts
    sys.exit(main())
