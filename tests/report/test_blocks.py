"""What a block becomes in HTML and in Markdown: the first screen, and the sentences that rest on rows."""

from __future__ import annotations

import re

import pytest

from ordinal_blast.report import load, page
from ordinal_blast.report.blocks import TONES, Beside, Bullets, Details, Entry, Gallery, Headline, Section, Text
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.vectors import Drawing


@pytest.fixture
def studio(small):
    return Studio("losses", load(small))


def rendered(section):
    chapter = {"key": "losses", "name": "losses", "title": "Which loss?", "facts": [], "sections": [section]}
    return page.rendered([chapter])


def test_the_first_screen_is_a_sentence_a_figure_and_a_table(studio):
    place = ("answer", "rnn", "icm")
    picture = studio.picture(
        "forest", Drawing("<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF"), "differences of all variants"
    )
    table = studio.table("Scores.", ["QWK ↑"], {"cross_entropy": [Entry("0.512", "[<0.5, 0.6]")]}, place=place)
    headline = Headline("A is better.", "better", "Over new seeds.", rows=[studio.row(*place, "cross_entropy")])
    blocks = [headline, Beside([Gallery("Forest.", [picture]), table])]
    pages = rendered(Section("answer", "Answer", blocks))
    html, markdown = pages["report.html"], pages["report.md"]
    assert re.search(rf'<strong class="tone better">{re.escape(TONES["better"])}</strong> A is better\.', html)
    assert 'href="#losses-answer-rnn-icm-cross-entropy"' in html
    assert '<tr id="losses-answer-rnn-icm-cross-entropy">' in html
    assert "0.512 <small><span>[&lt;0.5, 0.6]</span></small>" in html
    beside = html[html.index('<div class="beside">') :]
    assert beside.index("<img") < beside.index("<table>") < beside.index("</section>")
    assert "**A is better.**\n\nOver new seeds.\n" in markdown
    assert "#losses" not in markdown


@pytest.mark.parametrize("tone", TONES)
def test_every_tone_has_a_word_and_a_colour(tone):
    html = rendered(Section("answer", "Answer", [Headline("So it is.", tone)]))["report.html"]
    assert f'<strong class="tone {tone}">{TONES[tone]}</strong>' in html
    assert f".tone.{tone} {{ color: var(--" in html


def test_a_sentence_rests_on_rows_wherever_it_stands(studio):
    there = studio.row("differences", "rnn", "te", "ordinal_cross_entropy")
    said = Text("It is worse.", rows=[there, there])
    section = Section("answer", "Answer", [said, Bullets(["plain", said]), Details("More", [said])])
    pages = rendered(section)
    assert pages["report.html"].count(f'href="#{there}"') == 6
    assert pages["report.md"].count("- It is worse.\n") == 1


def test_a_place_has_one_address_and_no_other_place_shares_it(studio):
    assert studio.row("scores", "a b", "x") == studio.row("scores", "a b", "x")
    assert studio.row("scores", "a-b", "x") != studio.row("scores", "a b", "x")
    assert studio.anchor("scores-a-b-x") not in (studio.row("scores", "a b", "x"), studio.row("scores", "a-b", "x"))
