"""The folder of a report: only files made here are replaced or deleted, and a killed report is no foreign one."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from ordinal_blast.errors import UserError
from ordinal_blast.report import manifest

FILES = {
    "report.html": b"page",
    "report.md": b"text",
    "rows.csv": b"rows",
    "figures/a.svg": b"a",
    "figures/b.png": b"b",
}


def content(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != manifest.MANIFEST
    }


def test_an_earlier_report_is_replaced_and_nothing_else_is_touched(tmp_path):
    manifest.write(tmp_path, FILES)
    (tmp_path / "figures" / "my own.svg").write_bytes(b"mine")
    (tmp_path / "notes.md").write_bytes(b"notes")
    newer = {name: b"new" for name in FILES if name != "figures/b.png"}
    manifest.write(tmp_path, newer)
    assert content(tmp_path) == {**newer, "figures/my own.svg": b"mine", "notes.md": b"notes"}
    assert json.loads((tmp_path / "manifest.json").read_text())["files"] == sorted(newer)


@pytest.mark.parametrize("name", ["report.md", "report.html", "rows.csv", "figures/thesis.svg", "manifest.json"])
def test_a_foreign_folder_is_refused_and_stays_as_it_is(tmp_path, name):
    (tmp_path / "figures").mkdir()
    (tmp_path / name).write_text('{"files": ["report.md"]}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for call in (lambda: manifest.check(tmp_path), lambda: manifest.write(tmp_path, FILES)):
        with pytest.raises(UserError, match=name) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert "another --out" in str(caught.value)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_somebody_elses_file_in_the_way_of_a_new_figure_is_refused(tmp_path):
    manifest.write(tmp_path, FILES)
    (tmp_path / "figures" / "c.svg").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"figures/c\.svg"):
        manifest.write(tmp_path, {**FILES, "figures/c.svg": b"c"})
    assert (tmp_path / "figures" / "c.svg").read_bytes() == b"mine"


def test_a_manifest_deletes_nothing_outside_its_folder(tmp_path):
    (tmp_path / "precious.svg").write_bytes(b"precious")
    out = tmp_path / "out"
    manifest.write(out, FILES)
    for name in ("../precious.svg", "figures/../../precious.svg", str(tmp_path / "precious.svg")):
        (out / "manifest.json").write_text(json.dumps({"made_by": manifest.GENERATOR, "files": [name]}))
        with pytest.raises(UserError, match="not the list of files of a report"):
            manifest.write(out, FILES)
    assert (tmp_path / "precious.svg").exists()


@pytest.mark.parametrize("kept", range(6))
def test_a_report_that_was_killed_is_replaced_by_the_next(tmp_path, monkeypatch, kept):
    manifest.write(tmp_path, {"report.html": b"old", "figures/old.svg": b"old"})
    written = []
    write_bytes = type(tmp_path).write_bytes

    def dies(path, data):
        if len(written) == kept:
            raise KeyboardInterrupt
        written.append(path)
        return write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "write_bytes", dies)
        if kept < len(FILES):
            with pytest.raises(KeyboardInterrupt):
                manifest.write(tmp_path, FILES)
        else:
            manifest.write(tmp_path, FILES)
    (tmp_path / ".manifest.json.abcd").write_text("{")  # of a kill in the midst of the manifest
    manifest.write(tmp_path, FILES)
    assert content(tmp_path) == FILES


def test_a_file_and_a_place_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file: give a folder"):
        manifest.check(tmp_path / "file")
    with pytest.raises(UserError, match=r"cannot write the report to .*: Not a directory; give another --out"):
        manifest.write(tmp_path / "file" / "report", FILES)


def test_a_full_disk_is_told_as_one(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"No space left on device; free space and run the same command again$"):
        manifest.write(tmp_path / "report", FILES)
