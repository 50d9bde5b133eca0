"""Every option is in its loss's docstring and signature, and every citation in one bibliography."""

import inspect
import re
import typing
import unicodedata
from pathlib import Path

import jax
import pytest

from ordinal_blast import objectives
from ordinal_blast.objectives import references

PACKAGE = Path(objectives.__file__).parents[1]
WORKS = references.entries()
SOURCES = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
MENTION = re.compile(
    r"((?:d[ae] (?:la )?)?[^\W\d_][\w-]+)(?: et al\.|(?:, [\w-]+)*,? (?:&|and) [\w-]+)?,? \(?((?:18|19|20)\d\d[a-z]?)\b"
)
NO_WORKS = {"to", "of", "in", "the", "at", "resamples", "RESAMPLES"}  # before other numbers, lower or upper case


def plain(text):
    """A text without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@pytest.mark.parametrize("name", objectives.names())
def test_every_option_is_named_in_the_docstring(name):
    loss = getattr(objectives, name)
    options = set(objectives.get(name, num_classes=3).options) | (set(keywords(loss)) & {"num_classes"})
    missing = [option for option in options if not re.search(rf"\b{option}\b", loss.__doc__)]
    assert not missing, f"{name}: {missing}"


def keywords(loss):
    return {p.name: p for p in inspect.signature(loss).parameters.values() if p.kind is p.KEYWORD_ONLY}


@pytest.mark.parametrize("name", objectives.names())
def test_signatures_show_what_a_loss_takes(name):
    loss = getattr(objectives, name)
    objective = objectives.get(name, num_classes=3)
    shown = inspect.signature(loss).parameters
    weights = ["weights"] if objective.spec.batch_coupled else []
    assert [n for n, p in shown.items() if p.kind is not p.KEYWORD_ONLY] == ["outputs", "labels", *weights]
    defaults = {n: p.default for n, p in keywords(loss).items() if n != "num_classes"}
    assert defaults.items() <= objective.options.items()
    assert loss.__name__ == name
    assert typing.get_type_hints(loss)["return"] is jax.Array


def test_every_export_is_what_its_file_has():
    assert set(objectives.names()) < set(objectives.__all__)
    assert all(hasattr(objectives, name) for name in objectives.__all__)
    assert objectives.__all__ == sorted(objectives.__all__, key=lambda name: (name.islower(), name))


def test_every_objective_cites_works_of_the_bibliography():
    for row in objectives.table():
        assert row["cites"], row["name"]
        assert set(row["cites"]) <= set(WORKS), row["name"]


def test_every_work_has_what_a_reader_needs():
    text = references.FILE.read_text()
    assert len(WORKS) == text.count("\n@")
    assert list(WORKS) == sorted(WORKS)
    for key, work in WORKS.items():
        assert work.surnames, key
        assert work.title, key
        assert re.fullmatch(r"(18|19|20)\d\d[a-z]?", work.year), key
        assert key.endswith(work.year), key
        surname = re.sub(r"[^a-z]", "", plain(work.surnames[0]).lower())
        assert surname.startswith(re.sub(r"\d.*", "", key)), key
        assert re.fullmatch(r"https://\S+|", work.address), key
    labels = [work.label for work in WORKS.values()]
    assert len(set(labels)) == len(labels)


def test_labels_are_as_they_are_said():
    said = {key: WORKS[key].label for key in ("good1952", "frank2001", "shi2023", "kragh2019", "vargas2023a")}
    assert list(said.values()) == [
        "Good 1952",
        "Frank & Hall 2001",
        "Shi, Cao & Raschka 2023",
        "Kragh et al. 2019",
        "Vargas et al. 2023a",
    ]


def test_the_code_mentions_works_of_the_bibliography_and_no_work_stands_there_unused():
    known = {(plain(work.surnames[0]), work.year): key for key, work in WORKS.items()}
    mentioned = {
        (plain(surname), year): path.name
        for path, text in SOURCES.items()
        for surname, year in MENTION.findall(re.sub(r"\s*\n\s*#?\s*", " ", text))
        if surname not in NO_WORKS
    }
    unknown = {mention: path for mention, path in mentioned.items() if mention not in known}
    assert not unknown
    used = {known[mention] for mention in mentioned} | {key for row in objectives.table() for key in row["cites"]}
    assert set(WORKS) == used
