"""Write a report: one self-contained page, the same as Markdown, the rows and the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ordinal_blast.report import dataset_blocks, latex, manifest, markup, spreadsheets, theme
from ordinal_blast.report.blocks import TONES, Beside, Block, Details, Gallery, Part, Picture, Section, Strip
from ordinal_blast.report.compare import FRAMES, Study
from ordinal_blast.report.datasets import Together
from ordinal_blast.report.examples import VERDICTS
from ordinal_blast.report.formats import distinct, slug
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.sections import facts, plugged, sections

SEVERAL = "ordinal_blast.report.several"  # the entry points of packages that speak of several studies


def write(studies: Sequence[Study], out: Path, command: str) -> Path:
    """Write `report.html`, `report.md`, `rows.csv`, `frames/`, `figures/` and their manifest; returns the page's path.

    One chapter per study, in this order, before them what packages say of several together, and after them one over
    all data sets; `command` is printed as what made the page. The same inputs give the same bytes. Raises UserError
    where `out` is not to be written to, and where sections from another package fail.
    """
    manifest.check(out)
    chapters = [*_several(studies)]
    chapters += [_chapter(study, key, command) for study, key in zip(studies, _keys(studies), strict=True)]
    together = Together(tuple(studies))
    if together.comparable:
        chapters.append(_together(together))
    files = drawn(section for chapter in chapters for section in chapter["sections"])
    files["rows.csv"] = spreadsheets.csv(pd.concat([study.scores for study in studies], ignore_index=True))
    files |= _frames(studies)
    files |= {name: text.encode() for name, text in rendered(chapters).items()}
    manifest.write(out, files)
    return out / "report.html"


def _frames(studies: Sequence[Study]) -> dict[str, bytes]:
    """Every frame with rows as CSV, those of several studies below one another, and as LaTeX where it makes a table."""
    files = {}
    for name in FRAMES[1:]:  # the first, the scores, is rows.csv
        parts = [_placed(study, getattr(study, name)) for study in studies]
        if parts := [part for part in parts if len(part)]:
            frame = pd.concat(parts, ignore_index=True)
            files[f"frames/{name}.csv"] = spreadsheets.csv(frame, digits=9)
            if text := latex.tables(frame, name):
                files[f"frames/{name}.tex"] = text.encode()
    return files


def _placed(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    if "experiment" not in frame:
        frame.insert(0, "experiment", study.plan["experiment"])
    return frame


def rendered(chapters: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The page as HTML and as Markdown, by file name."""
    finalizers = {"report.html": markup.html, "report.md": markup.markdown}
    return {
        name: _environment(finalize).get_template(f"{name}.j2").render(chapters=chapters)
        for name, finalize in finalizers.items()
    }


def _chapter(study: Study, key: str, command: str) -> dict[str, Any]:
    contents = sections(study, key, command)
    return {
        "key": key,
        "name": study.plan["experiment"],
        "title": study.plan["question"] or study.plan["experiment"],
        "facts": [*facts(study), *(fact for section in contents for fact in section.facts)],
        "sections": [section for section in contents if section.blocks],
    }


def _several(studies: Sequence[Study]) -> Iterator[dict[str, Any]]:
    """A chapter of what installed packages say of several studies by functions (studies, studio) -> list[Section]."""
    key = "several"
    of = plugged(SEVERAL, studies, Studio(key, studies[0])) if len(studies) > 1 else []
    if of:
        title = "What the studies say together"
        yield {"key": key, "name": "in short", "title": title, "facts": [], "sections": of}


def _together(together: Together) -> dict[str, Any]:
    key = "together"
    return {
        "key": key,
        "name": "over all",
        "title": "Over all data sets",
        "facts": dataset_blocks.facts(together),
        "sections": dataset_blocks.sections(together, Studio(key, together.studies[0])),
    }


def _environment(finalize: Any) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ordinal_blast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"theme": theme, "verdicts": VERDICTS, "tones": TONES}
    environment.filters |= {
        "breakable": markup.breakable,
        "quoted": markup.quoted,
        "unbroken": markup.unbroken,
        "verbatim": markup.verbatim,
    }
    return environment


def _keys(studies: Iterable[Study]) -> list[str]:
    """A distinct anchor per study, from the name of its experiment."""
    taken = {"together", "several"}  # the chapters on more than one
    return [distinct(slug(study.plan["experiment"]), taken) for study in studies]


def drawn(sections: Iterable[Section]) -> dict[str, bytes]:
    """The files of the figures of sections, by name in the folder of a report."""
    pictures = [picture for section in sections for picture in _pictures(section.blocks)]
    files = {f"figures/{picture.name}": picture.content for picture in pictures}
    return files | {f"figures/{name}": content for picture in pictures for name, content in picture.beside.items()}


def _pictures(blocks: Iterable[Block | Section]) -> Iterator[Picture]:
    for block in blocks:
        match block:
            case Gallery():
                yield from block.pictures
            case Strip():
                yield from (example.picture for example in block.examples)
            case Beside() | Details() | Part():
                yield from _pictures(block.blocks)
