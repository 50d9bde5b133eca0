"""Write a report: one self-contained page, the same as Markdown, the rows and the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import pandas as pd

from ordinal_blast.report import grid, theme
from ordinal_blast.report.blocks import Block, Details, Gallery, Part, Picture, Section, Strip
from ordinal_blast.report.examples import VERDICTS
from ordinal_blast.report.formats import slug
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Study, load, rows
from ordinal_blast.report.sections import facts, sections


def write(run_dirs: Sequence[Path], out: Path, command: str) -> Path:
    """Write `report.html`, `report.md`, `rows.csv` and `figures/` under `out`; returns the path of the page.

    One chapter per run directory, in the order given, and one over all data sets or hold-outs; `command` is printed as
    what made the page. The same inputs give the same bytes. Raises FileNotFoundError or ValueError for what is no run
    directory.
    """
    studies = [load(run_dir) for run_dir in run_dirs]
    if not studies:
        raise ValueError("no run directory given: name at least one")
    keys = _keys(studies)
    chapters = [
        {
            "key": key,
            "name": study.plan["experiment"],
            "title": study.plan["question"],
            "facts": facts(study),
            "sections": sections(study, key, command),
        }
        for study, key in zip(studies, keys, strict=True)
    ]
    if found := grid.gather(studies):
        chapters.append(_together(found, studies))
    pictures = [p for chapter in chapters for section in chapter["sections"] for p in _pictures(section.blocks)]
    out = Path(out)
    _write_figures(pictures, out / "figures")
    pd.concat([rows(study) for study in studies]).to_csv(out / "rows.csv", index=False, lineterminator="\n")
    page = out / "report.html"
    for path, template in ((page, "report.html.j2"), (out / "report.md", "report.md.j2")):
        path.write_text(_environment().get_template(template).render(chapters=chapters), encoding="utf-8", newline="\n")
    return page


def _together(found: grid.Grid, studies: Sequence[Study]) -> dict[str, Any]:
    key = "together"
    return {
        "key": key,
        "name": "over all",
        "title": "Over all data sets and hold-outs",
        "facts": grid.facts(found),
        "sections": grid.sections(found, key, Studio(key, studies[0])),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ordinal_blast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"theme": theme, "verdicts": VERDICTS}
    environment.filters |= {"cell": _markdown_cell, "breakable": _breakable}
    return environment


def _markdown_cell(text: str) -> markupsafe.Markup:
    """Text that cannot break out of a Markdown table cell."""
    return markupsafe.Markup(markupsafe.escape(" ".join(text.split())).replace("|", markupsafe.Markup("&#124;")))


def _breakable(name: str) -> markupsafe.Markup:
    """A name that may wrap after an underscore."""
    return markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>"))


def _keys(studies: Iterable[Study]) -> list[str]:
    """A distinct anchor per study, from the name of its experiment."""
    keys: list[str] = ["together"]  # the chapter over all
    for study in studies:
        name = slug(study.plan["experiment"])
        keys.append(name if name not in keys else f"{name}-{len(keys)}")
    return keys[1:]


def _pictures(blocks: Iterable[Block | Section]) -> Iterator[Picture]:
    for block in blocks:
        match block:
            case Gallery():
                yield from block.pictures
            case Strip():
                yield from (example.picture for example in block.examples)
            case Details() | Part():
                yield from _pictures(block.blocks)


def _write_figures(pictures: Sequence[Picture], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("*.svg"), *folder.glob("*.png")):
        stale.unlink()
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.content)
