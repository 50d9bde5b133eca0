"""Figures as files: what is left out is not seen, and the same figure gives the same bytes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ordinal_blast.report import theme, vectors


@pytest.fixture
def drawing():
    def draw():
        with theme.rc():
            figure = theme.new(3, 2)
            axes = figure.subplots()
            axes.plot(np.linspace(0, 1, 400), np.linspace(0, 1, 400) ** 2, color=theme.COLOURS[0][0])
            axes.set_title("<a> & 'b' # 50% \"c\"")
            return vectors.drawn(figure)

    return draw


def test_the_same_figure_gives_the_same_bytes_and_no_date(drawing):
    first, second = drawing(), drawing()
    assert (first.svg, first.pdf) == (second.svg, second.pdf)
    assert first.pdf.startswith(b"%PDF-1.4")
    assert b"Date" not in first.pdf
    assert not re.search(r"20\d\d-\d\d-\d\d|<!DOCTYPE", first.svg)


def test_text_stays_as_it_is_written(drawing):
    texts = [node.text for node in ElementTree.fromstring(drawing().svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "<a> & 'b' # 50% \"c\"" in texts
    assert "0.2" in texts


def test_only_colours_that_are_used_have_a_dark_form(drawing):
    svg = drawing().svg
    (light, dark), (other, _) = theme.COLOURS[:2]
    assert f'[style*="stroke:{light}"]{{stroke:{dark}!important}}' in svg.replace("&quot;", '"')
    assert other not in svg


def test_everything_that_is_pointed_to_is_there(drawing):
    svg = drawing().svg
    pointed = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    assert pointed
    assert pointed == set(re.findall(r' id="([^"]+)"', svg))


def test_a_straight_line_keeps_its_ends_alone_and_a_corner_stays():
    points = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [3, 2], [3, 1]], float)
    assert vectors.thinned(points).tolist() == [True, False, False, True, False, True]


def test_a_line_that_comes_back_keeps_its_turn():
    points = np.array([[0, 0], [5, 0], [0, 0], [0, 0]], float)
    assert vectors.thinned(points).tolist() == [True, True, False, True]


def test_no_vertex_is_further_than_the_tolerance_from_a_thinned_curve():
    x = np.linspace(0, 200, 2_000)
    points = np.stack([x, 40 * np.sin(x / 9) + np.random.default_rng(0).normal(0, 0.02, x.size)], axis=1)
    kept = vectors.thinned(points)
    assert kept.sum() < 400
    a, b = points[kept][:-1], points[kept][1:]
    along = (b - a)[None]
    share = np.clip(((points[:, None] - a) * along).sum(-1) / (along**2).sum(-1), 0, 1)
    away = np.linalg.norm(points[:, None] - a - share[..., None] * along, axis=-1).min(axis=1)
    assert away.max() <= vectors.TOLERANCE


def test_a_path_of_straight_parts_keeps_its_shape_in_fewer_letters():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="unused"><path d="M 0.123456 0 \nL 1 0 \nL 2.5 0 \nL 2.5 -0.5 \n'
        'z \nM 7 7 \nL 8 8 \n"/><path d="M 0 0 \nC 1.23456 2 3 4 5 -0.001 \n" transform="rotate(-0 1 2)"/></g></svg>'
    )
    paths = [dict(node.attrib) for node in ElementTree.fromstring(vectors.small(svg)).iter() if "path" in node.tag]
    assert paths == [{"d": "M.12 0L2.5 0 2.5 -.5zM7 7L8 8"}, {"d": "M0 0C1.23 2 3 4 5 0"}]
