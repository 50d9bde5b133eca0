"""The page that a person grades on: what it sorts by, that it is inert, and, in a real browser, what keys do."""

import base64
import csv
import hashlib
import json
import re
import time

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.cli import main
from ordinal_blast.data import annotations
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import review, review_items
from ordinal_blast.report.review_items import Item
from ordinal_blast.types import NOT_AGREED, Task

ICM, TE = Task("icm", ("C", "B", "A")), Task("te", ("C", "B", "A"))
NAUGHTY = "</script><img src=x onerror=alert(1)>\u202e\"'&,\u2028"


def test_disagreement_is_the_mean_distance_of_all_pairs_of_who_graded():
    one = Item("a", b"", people={"icm": {"ann": 0, "bob": 2}}, network={"icm": 1})
    assert review_items.disagreement(one, ICM) == pytest.approx((2 + 1 + 1) / 3)
    # A label counts where it is the only grade by people: else it is what these voted.
    assert review_items.disagreement(Item("a", b"", people={"icm": {"label": 0}}, network={"icm": 2}), ICM) == 2
    several = Item("a", b"", people={"icm": {"label": 0, "ann": 2, "bob": 2}})
    assert review_items.disagreement(several, ICM) == 0
    assert review_items.disagreement(Item("a", b"", people={"icm": {"label": 0}}), ICM) is None


def test_entropy_is_of_the_probabilities_between_certain_and_all_alike():
    assert review_items.entropy(Item("a", b"", probs={"icm": np.array([1.0, 0, 0])}), ICM) == 0
    assert review_items.entropy(Item("a", b"", probs={"icm": np.full(3, 1 / 3)}), ICM) == pytest.approx(1)
    half = review_items.entropy(Item("a", b"", probs={"icm": np.array([0.5, 0.5, 0])}), ICM)
    assert half == pytest.approx(np.log(2) / np.log(3))


def test_grade_sorts_by_the_label_else_by_people_else_by_what_the_network_expects():
    probs = {"icm": np.array([0.25, 0.25, 0.5])}
    assert review_items.position(Item("a", b"", people={"icm": {"label": 2, "ann": 0}}, probs=probs), ICM) == 2
    assert review_items.position(Item("a", b"", people={"icm": {"bob": 1, "ann": 0}}, probs=probs), ICM) == 0.5
    assert review_items.position(Item("a", b"", probs=probs), ICM) == pytest.approx(1.25)
    assert review_items.position(Item("a", b""), ICM) is None


def test_nothing_that_somebody_named_can_become_part_of_the_page():
    item = Item(NAUGHTY, b"jpeg", {"clinic": (NAUGHTY,)}, {"icm": {NAUGHTY: 1}})
    page = review.html(
        [item, Item("b", b"", {"clinic": ("north",)})], [ICM], title=NAUGHTY, rater=NAUGHTY, notes=[NAUGHTY]
    )
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "\u202e" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["items"][0]["id"] == NAUGHTY  # as it is, for the table that is saved
    assert {"name": "clinic", "values": sorted([NAUGHTY, "north"])} in data["filters"]


def test_only_the_script_of_the_page_may_run_and_nothing_may_be_fetched():
    page = review.html([Item("a", b"")], [ICM], title="t", rater="", notes=[])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script = page.rsplit("<script>", 1)[1].split("</script>")[0]
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_grades_are_kept_under_the_names_of_items_and_tasks():
    def key(items, tasks):
        page = review.html(items, tasks, title="t", rater="", notes=[])
        return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["key"]

    first = key([Item("a", b"1")], [ICM])
    assert key([Item("a", b"2", {"clinic": ("x",)})], [ICM]) == first
    assert first != key([Item("b", b"1")], [ICM]) != key([Item("b", b"1")], [TE])


@pytest.fixture
def embryos(tmp_path):
    """Three images, one in a folder, and what only looks like one."""
    folder = tmp_path / "embryos"
    (folder / "well 2").mkdir(parents=True)
    for n, name in enumerate(("a.png", "b.png", 'well 2/=c,"d".png')):
        Image.fromarray(np.full((40, 60), 60 * n + 60, np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes(b"none")
    return folder


def test_a_folder_is_reviewed_without_a_run_and_what_cannot_be_read_is_said(embryos, tmp_path, capsys):
    out = tmp_path / "pages" / "review.html"
    asked = ["review", str(embryos), "--grades", "icm=C,B,A", "--out", str(out)]
    assert main(asked) == 1
    printed = capsys.readouterr()
    assert "broken.png" in printed.err
    assert "left out" in printed.err
    assert printed.out == f"Page: {out} (3 images)\n"
    data = json.loads(re.search(r'id="data">(.*?)</script>', out.read_text(), re.S)[1])
    assert [item["id"] for item in data["items"]] == ["a.png", "b.png", 'well 2/=c,"d".png']
    (embryos / "broken.png").unlink()
    assert main(asked) == 0  # a page is replaced, and nothing else
    out.write_text("mine")
    assert main(asked) == 1
    assert out.read_text() == "mine"


def test_a_sheet_says_patient_clinic_and_grades(embryos, tmp_path):
    (embryos / "list.csv").write_text("item;path;group;clinic;icm\ne1;a.png;p1;north;A\ne2;b.png;p2;south;NA\n")
    items, total = review_items.of_input(embryos / "list.csv", [ICM], 32, 10, pytest.fail)
    assert total == 2
    assert [(item.id, item.columns, item.people) for item in items] == [
        ("e1", {"group": ("p1",), "clinic": ("north",)}, {"icm": {"label": 2}}),
        ("e2", {"group": ("p2",), "clinic": ("south",)}, {}),
    ]
    assert items[0].picture[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("e1,a.png,D", "line 3, icm: D is none of the grades C, B, A"),
        ("e0,a.png,A", "line 3: e0 is named before, in .*line 2"),
        (",a.png,A", "line 3: an empty entry is no name"),
    ],
)
def test_a_sheet_that_is_wrong_is_refused_by_line(embryos, line, words):
    (embryos / "list.csv").write_text(f"item,path,icm\ne0,a.png,A\n{line}\n")
    with pytest.raises(UserError, match=words):
        review_items.of_input(embryos / "list.csv", [ICM], 32, 10, pytest.fail)


def test_grades_that_were_saved_before_stand_beside_the_images(embryos, tmp_path):
    (embryos / "broken.png").unlink()
    items, _ = review_items.of_input(embryos, [ICM, TE], 32, 10, pytest.fail)
    saved = tmp_path / "grades.csv"
    saved.write_text("item,rater,task,value\na.png,ann,icm,A\na.png,bob,icm,C\nb.png,bob,icm,NA\nz.png,bob,icm,B\n")
    rated, elsewhere = review_items.with_annotations(items, [ICM, TE], saved)
    assert elsewhere == 1
    assert [item.people.get("icm", {}) for item in rated] == [{"ann": 2, "bob": 0}, {}, {}]
    assert rated[0].columns["rater"] == ("ann", "bob")
    assert review_items.disagreement(rated[0], ICM) == 2
    out = tmp_path / "r.html"
    review.review(out, input=embryos, grades={"icm": "CBA"}, annotations=saved)
    saved.write_text("item,rater,task,value\ny.png,ann,icm,A\nz.png,bob,icm,B\n")
    with pytest.raises(UserError, match="grades none of the images"):
        review.review(out, input=embryos, grades={"icm": "CBA"}, annotations=saved)


def test_images_elsewhere_are_not_shown(embryos, tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "secret.png")
    (embryos / "list.csv").write_text(f"path\n../secret.png\n{tmp_path}/secret.png\nlink.png\n")
    (embryos / "link.png").symlink_to(tmp_path / "secret.png")
    refused = []
    items, total = review_items.of_input(embryos / "list.csv", [ICM], 32, 10, refused.append)
    assert (items, total, len(refused)) == ([], 0, 3)
    (embryos / "broken.png").unlink()
    shown, _ = review_items.of_input(embryos, [ICM], 32, 10, pytest.fail)
    assert "link.png" not in [item.id for item in shown]


def test_what_is_asked_wrongly_is_said_in_one_line(embryos, tmp_path, capsys):
    out = str(tmp_path / "r.html")
    for arguments, words in (
        (["--out", out], "give one of the two"),
        ([str(embryos), "--out", out], "--grades icm=C,B,A"),
        ([str(embryos), "--grades", "icm", "--out", out], "TASK=WORST"),
        ([str(embryos), "--grades", "icm=C,B,A", "--most", "0", "--out", out], "most"),
        ([str(tmp_path / "none"), "--grades", "icm=C,B,A", "--out", out], "none"),
        (["--run", str(tmp_path), "--out", out], "holds no run"),
    ):
        assert main(["review", *arguments]) in (1, 2)
        said = capsys.readouterr().err
        assert words in said
        assert "Traceback" not in said


def test_cells_of_a_run_count_as_one_network(embryos_run):
    records, look = embryos_run
    items, total = review_items.of_records(records, "test", look, 16, 30)
    first = records[0].by_id().models["rnn"].splits["test"]
    assert total == len(first.ids)
    assert [item.id for item in items] == list(first.ids[:30])
    probs = [one.by_id().models["rnn"].splits["test"].tasks["icm"].probs[4] for one in records]
    np.testing.assert_allclose(items[4].probs["icm"], np.mean(probs, axis=0), rtol=1e-6)
    assert items[4].columns == {"group": (first.columns["group"][4],)}
    with pytest.raises(UsageError, match="there are test"):
        review_items.of_records(records, "nowhere", look, 16, 30)
    panel, _ = review_items.of_records(records, "panel", look, 16, 5)
    graded = records[0].by_id().models["rnn"].splits["panel"].columns["rater_icm"][0]
    people = {f"rater {r}": g for r, g in enumerate(graded.tolist(), 1) if g >= 0}
    assert {who: g for who, g in panel[0].people["icm"].items() if who != "label"} == people


@pytest.fixture
def embryos_run(request):
    from ordinal_blast import record

    run = request.getfixturevalue("embryos_study")
    cells = sorted((run / "cells").iterdir())
    return [record.read(cell) for cell in cells], lambda ids: np.zeros((len(ids), 8, 8, 1), np.uint8)


@pytest.fixture(scope="session")
def embryos_study(tmp_path_factory, write_run, of_embryos):
    path = tmp_path_factory.mktemp("reviewed")
    return write_run(path, ("cross_entropy", "coral"), (0, 1), n=120, change=of_embryos)


def page_of(tmp_path, items=None):
    """A page of four items whose order differs by everything that sorts them."""
    frames = [review_items.jpeg(np.full((20, 30, 1), 50 * n, np.uint8), 64) for n in range(4)]
    given_items = items or [
        Item(
            "one, 1",
            frames[0],
            {"group": ("p1",), "clinic": ("north",)},
            {"icm": {"label": 2}},
            {"icm": 2},
            {"icm": np.array([0, 0, 1.0])},
        ),
        Item(
            'two "2"',
            frames[1],
            {"group": ("p1",), "clinic": ("south",)},
            {"icm": {"label": 0}},
            {"icm": 2},
            {"icm": np.array([0.2, 0.3, 0.5])},
        ),
        Item(
            "three",
            frames[2],
            {"group": ("p2",), "clinic": ("north",)},
            {"icm": {"label": 1}},
            {"icm": 2},
            {"icm": np.array([0.3, 0.3, 0.4])},
        ),
        Item("four", frames[3], {"group": ("p2",), "clinic": ("south",), "rater": ("ann",)}, {"icm": {"ann": 1}}),
    ]
    path = tmp_path / "review.html"
    path.write_text(review.html(given_items, [ICM, TE], title="Review", rater="", notes=[]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(chromium, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


ORDER = "[...document.querySelectorAll('#items bdi')].map((e) => e.textContent)"
CURRENT = "document.querySelector('#items [aria-current] bdi').textContent"
LEFT = "document.getElementById('left').textContent"


def choose(page, select, value):
    page.run(
        f"(() => {{ const s = {select}; s.value = {value!r}; "
        "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_a_person_grades_by_keyboard_closes_the_tab_and_loses_nothing(chromium, tmp_path):
    path = page_of(tmp_path)
    saved = tmp_path / "saved"
    saved.mkdir()
    with chromium(tmp_path / "profile") as browser:
        page = browser.open(path)
        assert page.run(LEFT) == "4 of 4 left"
        page.press("Tab")  # the skip address comes first
        assert page.run("document.activeElement.className") == "skip"
        page.run("document.querySelector('#items [aria-current]').focus()")
        page.press("1", "a")  # icm C by its digit, te A by its letter, then the next image
        assert page.run(CURRENT) == 'two "2"'
        page.press("0", "ArrowRight", "2")  # cannot tell; leaves te of the second open
        assert page.run(LEFT) == "3 of 4 left"
        page.press("u", "b", "Delete")  # takes the 2 back, grades as before, and clears what is empty
        assert page.run(CURRENT) == "three"
        assert page.run("document.querySelector('#panel fieldset.active legend').textContent") == "te"
        page.close()

        page = browser.open(path)  # another tab: all is there, and the first that is left is shown
        assert page.run(LEFT) == "3 of 4 left"
        assert page.run(CURRENT) == 'two "2"'
        page.run("document.getElementById('rater').focus()")
        page.press(*"Zoë, 1")
        assert page.run("document.getElementById('left').textContent") == "3 of 4 left"  # letters there are a name
        page.press("Enter", "Tab")
        browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
        assert page.run("document.activeElement.id") == "save"
        page.press("Enter")
        end = time.monotonic() + 20
        while not list(saved.glob("*.csv")):
            assert time.monotonic() < end
            time.sleep(0.05)
        page.close()
    with chromium(tmp_path / "profile") as browser:  # after the browser was closed, too
        page = browser.open(path)
        assert page.run(LEFT) == "3 of 4 left"
        assert page.run("document.getElementById('rater').value") == "Zoë, 1"
        assert page.complaints() == []
    (file,) = saved.glob("*.csv")
    assert file.name == "grades-Zoë_1.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [tuple(row.values()) for row in rows] == [
        ("one, 1", "Zoë, 1", "icm", "C"),
        ("one, 1", "Zoë, 1", "te", "A"),
        ('two "2"', "Zoë, 1", "icm", "NA"),
        ("three", "Zoë, 1", "icm", "B"),
    ]
    said = annotations.read([file], grades={"icm": ICM.grades, "te": TE.grades})
    assert said.raters == ("Zoë, 1",)
    assert said.grades["icm"][:, 0].tolist() == [0, NOT_AGREED, 1]


def test_images_are_sorted_and_filtered_and_the_count_says_of_which(browser, tmp_path):
    page = browser.open(page_of(tmp_path), apart=True)
    sort = "document.getElementById('sort')"
    for by, first in (
        ("disagreement, most first", ['two "2"', "three", "one, 1", "four"]),
        ("entropy, most first", ["three", 'two "2"', "one, 1", "four"]),
        ("grade, worst first", ['two "2"', "three", "four", "one, 1"]),
        ("grade, best first", ["one, 1", "three", "four", 'two "2"']),
        ("order of the file", ["one, 1", 'two "2"', "three", "four"]),
    ):
        choose(page, sort, by)
        assert page.run(ORDER) == first, by
    filters = "document.querySelector('#filters [data-name={}]')"
    choose(page, filters.format("clinic"), "=south")
    assert page.run(ORDER) == ['two "2"', "four"]
    assert page.run(LEFT) == "4 of 4 left; 2 of the 2 shown"
    choose(page, filters.format("group"), "=p1")
    assert page.run(ORDER) == ['two "2"']
    choose(page, filters.format("group"), "")
    page.run("document.getElementById('open').click()")
    page.run("document.querySelector('#items [aria-current]').focus()")
    page.press("1", "1")
    assert page.run(ORDER) == ["four"]
    page.press("1", "1")
    assert page.run(ORDER) == []
    assert page.run(LEFT) == "2 of 4 left; 0 of the 0 shown"
    assert page.complaints() == []


def test_what_others_said_is_shown_after_ones_own_grade_or_on_demand(browser, tmp_path):
    page = browser.open(page_of(tmp_path), apart=True)
    others = "document.getElementById('others').textContent"
    assert "network" not in page.run(others)
    page.run("document.querySelector('#panel input').click()")
    assert "icm, labelAicm, networkA (C 0.00  B 0.00  A 1.00)" in page.run(others)
    choose(page, "document.getElementById('sort')", "grade, worst first")
    page.run("document.getElementById('reveal').click()")
    page.run("document.querySelectorAll('#items button')[0].click()")
    assert "icm, labelC" in page.run(others)


def test_names_that_are_markup_stay_text_in_a_browser(browser, tmp_path):
    item = Item(
        NAUGHTY, review_items.jpeg(np.zeros((9, 9, 3), np.uint8), 9), {"clinic": (NAUGHTY,)}, {"icm": {NAUGHTY: 1}}
    )
    page = browser.open(page_of(tmp_path, [item, Item("b", item.picture, {"clinic": ("x",)})]), apart=True)
    assert page.run("document.querySelector('#items bdi').textContent") == NAUGHTY
    assert page.run("document.querySelectorAll('img').length") == 3
    assert page.run("document.scripts.length") == 2
    assert page.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_focus_is_seen_and_text_can_be_read_in_the_light_and_in_the_dark(browser, tmp_path, dark):
    page = browser.open(page_of(tmp_path), dark, apart=True)
    page.press("Tab", "Tab", "Tab", "Tab")
    style = "getComputedStyle(document.activeElement)"
    assert page.run(f"{style}.outlineStyle") == "solid"
    assert page.run(f"{style}.outlineWidth") == "3px"
    colours = {
        name: page.run(f"getComputedStyle(document.body).getPropertyValue('--{name}').trim()")
        for name in ("ground", "paper", "ink", "muted", "link", "right")
    }
    for text, ground in (("ink", "ground"), ("muted", "paper"), ("muted", "ground"), ("right", "paper")):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["link"], colours["ground"]) >= 3  # of what is not text, such as the focus
    assert (luminance(colours["ground"]) < 0.2) == dark
    reached = []
    for _ in range(14):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id || document.activeElement.type"))
    assert {"sort", "of", "open", "reveal", "button", "radio"} <= set(reached)


def luminance(colour):
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    values = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return np.dot(
        [0.2126, 0.7152, 0.0722], [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    )


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
