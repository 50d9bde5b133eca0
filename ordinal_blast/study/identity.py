"""What a cell or a shared stage is made of beside its settings and data: the source text that makes its numbers.

Of this package that is the text of the rooms that make numbers, of a part from outside its own file and what that
imports of its own package or, where it is not installed, of its folder and the present one. Other packages count by
version, which a record keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ordinal_blast import __version__, kinds, parts, schema
from ordinal_blast.settings import Settings, StageSettings, leaves
from ordinal_blast.storage import digest
from ordinal_blast.training import initial

_PACKAGE = __name__.partition(".")[0]
_ROOMS = ("objectives", "models", "data", "training", "embryo")
_FILES = ("types", "seeds")
_OBJECTIVES = f"{_PACKAGE}.objectives.registry:get"  # what any loss is bound by
_SOME = {  # of rooms that else measure, tell and show: what trains, what teaches and what is fitted
    "study": ("cell", "decisions", "grader", "recipe", "votes"),
    "evaluation": ("calibration", "rater_model", "raters"),
}


def of_code(chosen: Settings) -> dict[str, str]:
    """The digest of every source file that makes the numbers of a cell (see `source_text.files`), and of the weights
    that its networks start from.
    """
    settings = leaves(chosen)
    starts = [leaf.value for leaf in settings if leaf.key.endswith(".init_from") and leaf.value]
    code = of_parts([f"{_PACKAGE}.study.cell:train", _OBJECTIVES, *_places(settings)])
    return code | {start: initial.digest(start) for start in starts}


def of_stage(section: StageSettings, objective: str = "") -> dict[str, str]:
    """The same of a stage alone, with the text of the objective that it is trained for, if any."""
    trained_for = [_OBJECTIVES, kinds.place("objective", objective)] if objective else []
    return of_parts([*_places(schema.leaves(section)), *trained_for])


def of_parts(places: Iterable[str]) -> dict[str, str]:
    """The same of parts that are named as "package.module:thing" or "path/file.py:thing"."""
    texts: dict[str, str] = {}
    for place in dict.fromkeys(f"{place.rpartition(':')[0]}:" for place in places):
        for name, text in parts.texts(place, _makes_numbers).items():
            several = texts.get(name, text) != text  # files of one name, in different folders
            texts[name] = digest(sorted([text, texts[name]])) if several else text
    return dict(sorted(texts.items()))


def outside(chosen: Settings) -> dict[str, str]:
    """The parts from outside this package that settings name, by dotted key: finding one runs its code."""
    return {key: name for key, _, name in kinds.named(leaves(chosen)) if parts.is_outside(name)}


def differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """The files, by name, whose text is not the same in both, those from outside this package first."""
    different = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return sorted(different, key=lambda name: name.startswith(f"{_PACKAGE}/"))


def version() -> dict[str, str]:
    """The version of this package, and where it lies in a checkout the commit: told beside results, and not hashed."""
    commit = _commit(Path(__file__).parents[2] / ".git")
    return {"ordinal-blast": __version__, **({"commit": commit} if commit else {})}


def _places(settings: Iterable[schema.Leaf]) -> list[str]:
    """Where the parts that these settings name are, but for those of other packages that ours list."""
    places = [(name, kinds.place(kind, name)) for _, kind, name in kinds.named(settings)]
    return [place for name, place in places if ":" in name or place.startswith(f"{_PACKAGE}.")]


def _makes_numbers(module: str) -> bool:
    """Whether a module of this package does; those of others always do. A room's own file only names what is in it."""
    package, _, rest = module.partition(".")
    room, _, inside = rest.partition(".")
    if package != _PACKAGE:
        return True
    return room in _FILES or inside in _SOME.get(room, ()) or (room in _ROOMS and inside != "")


def _commit(git: Path) -> str | None:
    """The commit that is checked out, from the files of git; None where there is no checkout."""
    try:
        if git.is_file():  # of a worktree, whose branches lie in another folder
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        common = git / "commondir"
        home = git / common.read_text().strip() if common.is_file() else git
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (home / name).is_file():
            return (home / name).read_text().strip()
        packed = (line.split() for line in (home / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[1:] == [name]), None)
    except OSError:
        return None
