"""The folder of a report: files made here before are replaced, anything else in it stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ordinal_blast.errors import UserError, is_full, reason
from ordinal_blast.storage import read_json, remove_leftovers, write_json

MANIFEST = "manifest.json"
GENERATOR = "ordinal_blast report"
_FIXED = ("report.html", "report.md", "rows.csv", "rows.json")
_FOLDERS = ("figures", "frames")
_OURS = re.compile(
    r"report\.html|report\.md|rows\.(csv|json)|figures/[a-z0-9-]+\.(svg|png|pdf|csv)|frames/[a-z0-9_]+\.(csv|tex)"
)


def is_report(path: Path) -> bool:
    """Whether a report was written to this folder."""
    return (path / MANIFEST).is_file() and (path / "rows.csv").is_file()


def check(out: Path) -> None:
    """Raise UserError where a report may not be written to `out`: no folder, or one with somebody else's report."""
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"--out {out} is a file: give a folder")
        _earlier(out, _FIXED)
    except OSError as error:
        raise _refused(out, error) from error


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the files, by name relative to `out`, and delete what an earlier report left there and this one lacks.

    The manifest lists every file before it is written and until it is deleted, so that a report that was killed is
    recognised and replaced by the next one.
    """
    try:
        old = _earlier(out, files)
        out.mkdir(parents=True, exist_ok=True)
        _note(out, {*old, *files})
        for name, content in files.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(content)
        for name in old - set(files):
            (out / name).unlink(missing_ok=True)
        _note(out, files)
    except OSError as error:
        raise _refused(out, error) from error


def _note(out: Path, names: Iterable[str]) -> None:
    remove_leftovers(out, [MANIFEST])
    write_json(out / MANIFEST, {"made_by": GENERATOR, "files": sorted(names)})


def _earlier(out: Path, wanted: Iterable[str]) -> set[str]:
    """Files in `out` that this program made; raises UserError where one that is wanted belongs to somebody else."""
    known = _listed(out)
    foreign = [name for name in wanted if name not in known and (out / name).exists()]
    if not known:
        foreign += [f"{folder}/{path.name}" for folder in _FOLDERS for path in sorted((out / folder).glob("*"))]
    if foreign:
        raise UserError(
            f"{out} holds {foreign[0]}, which no report of this program lists as its own: "
            "give another --out, or move it away"
        )
    return known


def _listed(out: Path) -> set[str]:
    """The files of the manifest; none where there is no manifest."""
    manifest = out / MANIFEST
    if not manifest.exists():
        return set()
    content = read_json(manifest)
    names = content.get("files") if isinstance(content, dict) and content.get("made_by") == GENERATOR else None
    if not isinstance(names, list) or not all(isinstance(name, str) and _OURS.fullmatch(name) for name in names):
        raise UserError(f"{manifest} is not the list of files of a report: give another --out, or move it away")
    return set(names)


def _refused(out: Path, error: OSError) -> UserError:
    advice = "free space and run the same command again" if is_full(error) else "give another --out"
    return UserError(f"cannot write the report to {out}: {reason(error)}; {advice}")
