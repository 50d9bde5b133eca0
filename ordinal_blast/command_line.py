"""What may be written on the command line: the verbs, their arguments, and what is wrong with others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from ordinal_blast import __version__
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import PATH

Run = Callable[[argparse.Namespace], int]
ABOUT = ("name", "summary", "licence", "citation")  # of data that were not trained on here


def _path(text: str) -> Path:
    """The path; argparse makes one line, with the name of the argument, of what is raised for any other text."""
    if not text or not PATH.holds(text):  # Path("") would be the present folder
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no path: give {PATH.words}")
    return Path(text)


def _names(text: str) -> list[str]:
    """Names between commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no list of names: give them once, with commas between")
    return names


def _graded(text: str) -> tuple[str, list[str]]:
    """A task and its grades."""
    task, equals, grades = text.partition("=")
    if not (task and equals):
        raise argparse.ArgumentTypeError(f"{text!r:.100} names no task: give TASK=WORST,...,BEST, such as icm=C,B,A")
    return task, _names(grades)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; {self.prog} --help lists what there is")


def parser(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """The parser of all verbs; runs: what each of them does, whose docstring is its help."""
    whole = _Parser(prog="ordinal-blast", description="Ordinal losses compared fairly.", allow_abbrev=False)
    whole.add_argument("--version", action="version", version=__version__)
    whole.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(
        name: str,
        example: str,
        configurable: bool = False,
        extras: str = "study",
    ) -> argparse.ArgumentParser:
        run = runs[name]
        text = (run.__doc__ or "").strip()
        more = "\nany setting: --config.a.b=value (ordinal-blast settings lists them)" if configurable else ""
        added = verbs.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example: {example}{more}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        added.set_defaults(run=run, configurable=configurable, extras=extras)
        return added

    config = "a configuration file, or NAME for configs/NAME.py"

    def workdir(to: argparse.ArgumentParser, default: str | None) -> None:
        text = "folder of the run; the same command goes on where it stopped"
        to.add_argument("--workdir", type=_path, required=default is None, default=default, help=text)
        text = "go on in a folder that was begun with another text of the code that makes numbers"
        to.add_argument("--allow-changed-code", action="store_true", help=text)

    def asking(to: argparse.ArgumentParser) -> None:
        to.add_argument(
            "--reference", metavar="VARIANT", help="what all are compared with, instead of what was declared"
        )
        to.add_argument("--subject", metavar="VARIANT", help="the variant that the question is about")
        text = "the measure, or MEASURE:TASK, that answers the question; may be repeated"
        to.add_argument("--primary", action="append", metavar="MEASURE", help=text)
        to.add_argument("--equivalence", type=float, metavar="X", help="a difference of it that does not matter")

    added = verb("demo", "ordinal-blast demo", configurable=True, extras="embryo,report")
    workdir(added, "runs/demo")
    added.add_argument("--seeds", type=int, default=2, help="how many seeds (2)")

    added = verb("data", "ordinal-blast data build retinamnist --root ~/medmnist", configurable=True)
    added.add_argument("action", choices=["build", "inspect", "manifest"])
    added.add_argument(
        "name", metavar="NAME", help=f"{config}, or a source such as kromp2023; for manifest, a folder of images"
    )
    text = "manifest: the names of the images without their endings, such as '{item}_{hpi}h_{plane}um'"
    added.add_argument("--pattern", default="", metavar="TEXT", help=text)
    added.add_argument(
        "--every", type=float, metavar="MINUTES", help="manifest: from one {run} of a pattern to the next"
    )
    added.add_argument("--first", type=float, default=0.0, metavar="HPI", help="manifest: the hour of {run} 0 (0)")
    added.add_argument("--out", type=_path, metavar="FILE", help="manifest: by default manifest.csv in the folder")
    added.add_argument("--root", default="", help="folder of the source's files")
    added.add_argument("--json", action="store_true", help="print JSON")

    example = "ordinal-blast train --config configs/demo.py --workdir runs/one"
    added = verb("train", example, configurable=True, extras="report,study")
    added.add_argument("--config", required=True, help=config)
    workdir(added, None)

    example = "ordinal-blast ablate ablations/losses.py --config configs/retinamnist.py --workdir runs/retina --seeds 5"
    added = verb("ablate", example, configurable=True, extras="report,study")
    added.add_argument("ablation", help="an ablation file, or NAME for ablations/NAME.py")
    added.add_argument("--config", required=True, help=config)
    workdir(added, None)
    added.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")

    example = "ordinal-blast study --config configs/study_small.py --workdir runs/study --seeds 5"
    added = verb("study", example, configurable=True, extras="report,study")
    added.add_argument("--config", required=True, help=config)
    workdir(added, None)
    added.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")

    added = verb("report", "ordinal-blast report runs/demo --out reports/demo", extras="report")
    added.add_argument(
        "runs", nargs="+", type=_path, metavar="DIR", help="work directories of train, ablate, study or demo"
    )
    added.add_argument("--out", type=_path, required=True, help="folder of the report")
    added.add_argument("--open", action="store_true", help="open the page in a browser")
    asking(added)

    added = verb("status", "ordinal-blast status runs/study")
    added.add_argument("run_dir", type=_path, metavar="DIR", help="work directory of train, ablate, study or demo")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("grade", "ordinal-blast grade --run runs/retina/cells/cross_entropy-s0 eye.png")
    added.add_argument("--run", dest="run_dir", type=_path, required=True, metavar="DIR", help="a finished cell")
    added.add_argument(
        "inputs", nargs="+", type=_path, metavar="INPUT", help="images, .npz recordings, .csv tables, folders"
    )
    text = (
        "a run may name parts from outside this package, such as a loss: import and run that code, from FOLDER or as "
        "installed; "
        "without this nothing that a run names is imported, not even from the current directory"
    )
    added.add_argument("--trust", type=_path, metavar="FOLDER", help=text)
    level = "of the sets of grades: the chance that one holds the true grade (0.9); 0 leaves them out"
    added.add_argument("--level", type=float, default=0.9, metavar="P", help=level)
    text = "all finished seeds of the cell's variant grade, and the mean of their probabilities counts"
    added.add_argument("--ensemble", action="store_true", help=text)
    form = added.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print a table with a line for each task of an input")

    example = "ordinal-blast raters annotations.csv --grades icm=C,B,A --ties median --out raters"
    added = verb("raters", example, extras="report")
    text = "long tables with columns item, rater, task, value (and group), or files or folders of Kromp et al. (2023)"
    added.add_argument("files", nargs="+", type=_path, metavar="FILE", help=text)
    text = "the grades of a task, worst first; may be repeated"
    added.add_argument("--grades", action="append", default=[], type=_graded, metavar="TASK=WORST,...,BEST", help=text)
    text = "the raters who vote; all that are no network and not the released consensus"
    added.add_argument("--votes", type=_names, default=[], metavar="RATER,...", help=text)
    text = "what a tied vote is: low, high, median, drop, or what the first of --votes says (median)"
    added.add_argument("--ties", default="", metavar="RULE", help=text)
    text = "a rater that is a network: it is held against the votes; may be repeated"
    added.add_argument("--network", action="append", default=[], metavar="RATER", help=text)
    text = "a rater that is a consensus: the votes are compared with it"
    added.add_argument("--released", default="", metavar="RATER", help=text)
    added.add_argument("--encoding", default="", help="of the tables, where it is not UTF-8, such as latin-1")
    added.add_argument(
        "--out", type=_path, metavar="DIR", help="write a page with figures, and the frames as CSV, there"
    )
    added.add_argument("--json", action="store_true", help="print JSON")

    example = "ordinal-blast import predictions.csv --raters annotations.csv --workdir runs/others"
    added = verb("import", example, extras="report")
    text = (
        "tables with columns item, variant, task, label and p_GRADE for every grade, worst first (and seed, stage, "
        "split, grade, score, group), or files and folders of Kromp et al. (2023)"
    )
    added.add_argument("files", nargs="+", type=_path, metavar="FILE", help=text)
    added.add_argument("--workdir", type=_path, required=True, help="a new folder, which report reads")
    text = "grades of the same items by people: a table with the columns item, rater, task, value"
    added.add_argument("--raters", type=_path, metavar="FILE", help=text)
    text = "those of them that are shown beside the variants (all)"
    added.add_argument("--votes", type=_names, default=[], metavar="RATER,...", help=text)
    for name in ABOUT:
        added.add_argument(f"--{name}", default="", metavar="TEXT", help=f"{name} of the data, as the report says it")
    added.add_argument("--question", default="", metavar="TEXT", help="what is asked, in words")
    asking(added)

    example = "ordinal-blast review embryos/ --grades icm=C,B,A --grades te=C,B,A --out review.html"
    added = verb("review", example, extras="report,study")
    added.add_argument(
        "input",
        nargs="?",
        type=_path,
        metavar="INPUT",
        help="a folder of images, or a sheet that names images beside it",
    )
    text = "a finished cell, or a work directory, whose cells count as one network: its images and what it said of them"
    added.add_argument("--run", dest="run_dir", type=_path, metavar="DIR", help=text)
    added.add_argument("--out", type=_path, required=True, metavar="FILE", help="the page, review.html")
    text = "a task of INPUT and its grades, worst first; may be repeated"
    added.add_argument("--grades", action="append", default=[], type=_graded, metavar="TASK=WORST,...,BEST", help=text)
    text = "grades by people: a table with the columns item, rater, task, value, as the page saves"
    added.add_argument("--annotations", type=_path, metavar="FILE", help=text)
    added.add_argument("--rater", default="", metavar="NAME", help="who grades; else the page asks")
    added.add_argument("--split", default="test", help="which examples of a run (test)")
    added.add_argument(
        "--most", type=int, default=2000, metavar="N", help="how many images the page has; 2000 unless said"
    )
    added.add_argument("--pixels", type=int, default=256, metavar="N", help="longest side of an image there (256)")
    added.add_argument("--trust", type=_path, metavar="FOLDER", help="as for grade")

    example = "ordinal-blast explain --run runs/demo/cells/cross_entropy-s0 embryo.png --out page.html"
    added = verb("explain", example, extras="study,report")
    added.add_argument("--run", dest="run_dir", type=_path, required=True, metavar="DIR", help="a finished cell")
    added.add_argument("image", type=_path, metavar="IMAGE", help="an image, or a recording, whose image is explained")
    added.add_argument("--out", type=_path, required=True, metavar="PAGE", help="the page to write, PAGE.html")
    text = "what the evidence is for: the grade that is decided (grade), or the expected grade (expected)"
    added.add_argument("--of", default="grade", metavar="WHAT", help=text)
    text = "the feature map that it is read from, counted from the pixels; 0, the last, is usual"
    added.add_argument("--layer", type=int, default=0, metavar="N", help=text)
    text = "measure over N test examples of the run how much of the evidence lies inside the outline"
    added.add_argument("--test", type=int, default=0, metavar="N", help=text)
    added.add_argument("--level", type=float, default=0.9, metavar="P", help=level)
    added.add_argument("--trust", type=_path, metavar="FOLDER", help="as for grade")
    added.add_argument("--json", action="store_true", help="print the shares inside the outline as JSON")

    added = verb("export", "ordinal-blast export --run runs/retina/cells/cross_entropy-s0 --out grader.jax")
    text = "a finished cell; for .safetensors the folder of a stage too"
    added.add_argument("--run", dest="run_dir", type=_path, required=True, metavar="DIR", help=text)
    text = "FILE.jax (a program of jax.export), FILE.onnx, or FILE.safetensors (weights for init_from)"
    added.add_argument("--out", type=_path, required=True, metavar="FILE", help=text)
    added.add_argument("--level", type=float, default=0.9, metavar="P", help=level)
    added.add_argument("--trust", type=_path, metavar="FOLDER", help="as for grade")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("settings", "ordinal-blast settings retinamnist", configurable=True)
    added.add_argument("config", nargs="?", metavar="CONFIG", help=f"{config}; without one, the defaults")
    added.add_argument("--json", action="store_true", help="print JSON")

    added = verb("bench", "ordinal-blast bench --quick --only 'xception-*'", extras="report,embryo")
    added.add_argument("--quick", action="store_true", help="small networks and sizes, to try it: two minutes")
    text = "measure what is called so alone, such as 'xception-*'; may be repeated"
    added.add_argument("--only", action="append", default=[], metavar="PATTERN", help=text)
    added.add_argument("--rounds", type=int, metavar="N", help="repeats of all contenders in turn (5, quick 3)")
    added.add_argument("--list", action="store_true", help="say what is measured, and measure nothing")
    added.add_argument("--out", type=_path, metavar="DIR", help="write a report there too")
    added.add_argument("--json", action="store_true", help="print JSON")
    return whole
