"""A figure as a small SVG that follows the reader's light or dark preference, and as a PDF for a paper."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ordinal_blast.report.theme import DARK_RULES, SYSTEM_FONT

TOLERANCE = 0.05  # points (1/72 inch) by which a thinned line may pass beside a vertex: a fifteenth of a pixel
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_REFERENCE = re.compile(r"#([A-Za-z0-9_.-]+)\)?$")
_POINTS = ("d", "x", "y", "width", "height", "transform")
_NO_DATE = dict.fromkeys(("CreationDate", "ModDate", "Creator", "Producer"))

for _prefix, _address in (("", _SVG), ("xlink", _XLINK)):
    ElementTree.register_namespace(_prefix, _address)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure as SVG and as PDF, and the numbers that it shows where no frame has them."""

    svg: str
    pdf: bytes
    data: pd.DataFrame | None = None


def drawn(figure: Figure, data: pd.DataFrame | None = None) -> Drawing:
    """The figure without dates, to be called inside `theme.rc()`: the same figure gives the same bytes."""
    svg, pdf = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    figure.set_layout_engine("none")  # everything has its place by now: to look for it again takes as long as the rest
    figure.savefig(pdf, format="pdf", metadata=_NO_DATE)
    return Drawing(small(svg.getvalue()), pdf.getvalue(), data)


def small(svg: str) -> str:
    """The SVG with what nobody sees left out, lines thinned to `TOLERANCE`, and colours for a dark page."""
    root = ElementTree.fromstring(svg)
    pointed = {
        match[1] for node in root.iter() for value in node.attrib.values() if (match := _REFERENCE.search(value))
    }
    _tidy(root, pointed)
    style = ElementTree.Element(f"{{{_SVG}}}style")
    root.insert(0, style)
    body = ElementTree.tostring(root, encoding="unicode")
    style.text = f"text{{font-family:{SYSTEM_FONT}}}*{{stroke-linejoin:round;stroke-linecap:butt}}{_dark(body)}"
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(node: ElementTree.Element, pointed: set[str]) -> None:
    """Numbers shortened, names that nothing points to and empty groups removed, all the way down."""
    children: list[ElementTree.Element] = []
    for child in node:
        _tidy(child, pointed)
        child.tail = None
        kind = child.tag.removeprefix(f"{{{_SVG}}}")
        if kind == "g" and not child.attrib:
            children += child
        elif kind not in ("style", "metadata") and (len(child) or kind not in ("g", "defs")):
            children.append(child)
    node[:] = children
    if not node.tag.endswith("}text"):
        node.text = None
    if node.get("id") not in pointed:
        node.attrib.pop("id", None)
    if node.get("transform", "").startswith("rotate(-0 "):
        del node.attrib["transform"]
    if style := node.get("style"):
        node.set("style", re.sub(r"([:;,]) ", r"\1", style.replace("font-family: 'DejaVu Sans'; ", "")))
    for name in _POINTS:
        if (value := node.get(name)) is not None:
            node.set(name, _path(value) if name == "d" else _rounded(value))


def _path(d: str) -> str:
    """A path with its numbers shortened, and where it is of straight lines alone, thinned."""
    if re.search(r"[^-MLz0-9.e\s]", d):
        return _rounded(re.sub(r"\s*([A-Za-z])\s*", r"\1", d).strip())
    return "".join(map(_straight, re.findall(r"M[^M]*", d)))


def _straight(part: str) -> str:
    points = np.array(_NUMBER.findall(part), float).reshape(-1, 2)
    head, *rest = (f"{_short(x)} {_short(y)}" for x, y in points[thinned(points)])
    return f"M{head}{'L' if rest else ''}{' '.join(rest)}{'z' if part.rstrip().endswith('z') else ''}"


def thinned(points: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Which of the vertices `[N, 2]` a line needs so that none is further than `tolerance` from it: a mask `[N]`.

    Douglas and Peucker (1973).
    """
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        away = _distance(points[first + 1 : last], points[first], points[last])
        furthest = int(away.argmax())
        if away[furthest] > tolerance:
            middle = first + 1 + furthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return kept


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of points `[N, 2]` to the segment from start to end, [N]."""
    along = end - start
    length = float(along @ along)
    share = np.clip((points - start) @ along / length, 0, 1) if length else np.zeros(len(points))
    return np.hypot(*(points - start - share[:, None] * along).T)


def _rounded(text: str) -> str:
    return _NUMBER.sub(lambda match: _short(float(match[0])), text)


def _short(value: float) -> str:
    """Two decimals at most, and no zero that says nothing."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text.replace("0.", ".", 1) if re.match(r"-?0\.", text) else text


def _dark(body: str) -> str:
    # Plain light colours stay in the file for viewers that know no media query; browsers override them by their value.
    rules = "".join(_rules(body))
    return f"@media(prefers-color-scheme:dark){{{rules}}}" if rules else ""


def _rules(body: str) -> Iterator[str]:
    for light, dark in DARK_RULES.items():
        for kind in ("fill", "stroke"):
            if f"{kind}:{light}" in body:
                yield f'[style*="{kind}:{light}"]{{{kind}:{dark}!important}}'
