"""Graphs as pictures: Mermaid flowcharts, and SVG without external files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape as escaped

from ember_bench.graph.data import Node, NoNGraphData

_CHARACTER: Final = 7.2  # width of one in the SVG's font, in pixels
_LINE: Final = 17
_PADDING: Final = 12
_GAP_ACROSS: Final = 28
_GAP_DOWN: Final = 44
_MOST_LINES: Final = 6  # of models in a box

_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_STYLE: Final = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;text-anchor:middle;fill:#1f2937}"
    ".name{font-weight:bold}.more{fill:#6b7280}"
    "rect{fill:#f8fafc;stroke:#475569}.io rect{fill:#e0f2fe;rx:16}.graph>rect{fill:#fff;"
    "stroke-dasharray:5 4}path{fill:none;stroke:#475569}marker path{fill:#475569;stroke:none}"
)


def to_mermaid(graph: NoNGraphData) -> str:
    """Return the graph as a Mermaid flowchart; a graph within it is a subgraph."""
    lines = ["flowchart TD", "    inputs([inputs])"]
    lines += _mermaid_nodes(graph, "inputs", "n", "    ")
    if graph.nodes:
        last = f"n{list(graph.nodes).index(graph.output)}"
        lines += ["    outputs([outputs])", f"    {last} --> outputs"]
    return "\n".join(lines) + "\n"


def _mermaid_nodes(graph: NoNGraphData, source: str, prefix: str, indent: str) -> Iterator[str]:
    ids = {name: f"{prefix}{number}" for number, name in enumerate(graph.nodes)}
    for node in graph:
        key = ids[node.name]
        if isinstance(node.operator, NoNGraphData) and node.operator.nodes:
            yield f'{indent}subgraph {key}["{_mermaid_text(node.name)}"]'
            yield from _mermaid_nodes(node.operator, "", f"{key}_", indent + "    ")
            yield f"{indent}end"
        else:
            label = "<br/>".join(map(_mermaid_text, _labels(node)))
            yield f'{indent}{key}["{label}"]'
        if node.inputs:
            yield from (f"{indent}{ids[name]} --> {key}" for name in node.inputs)
        elif source:
            yield f"{indent}{source} --> {key}"


def _mermaid_text(text: str) -> str:
    """Return `text` for a quoted label, with special characters as entities."""
    return "".join(c if c.isalnum() or c in " _-.:/,()=+" else f"#{ord(c)};" for c in text)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A node as a picture shows it.

    Attributes:
        lines: The text of its box; the first line is its name.
        inputs: Names of its inputs, which are earlier nodes.
        inner: The nodes in it, if it is a graph.
    """

    name: str
    lines: Sequence[str]
    inputs: Sequence[str]
    inner: Sequence[Labelled] = ()


def to_svg(graph: NoNGraphData) -> str:
    """Return the graph as a picture: layers from top to bottom, each node after its inputs."""
    return svg(_labelled(graph))


def svg(nodes: Sequence[Labelled], *, arrow: str = "arrow", style: str = _STYLE) -> str:
    """Return nodes as a picture; the outputs are those of the last node.

    Args:
        nodes: In graph order.
        arrow: Id of the arrow's head, unique in the page.
        style: CSS; "" if the page contains it.
    """
    picture = _picture(nodes, outermost=True)
    width, height = picture.width + 2 * _PADDING, picture.height + 2 * _PADDING
    body = "\n".join(picture.drawn(_PADDING, _PADDING, arrow))
    styled = f"<style>{style}</style>\n" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n{styled}'
        f'<defs><marker id="{arrow}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>\n'
        f"{body}\n</svg>\n"
    )


@dataclass
class _Box:
    """The box of one node, in pixels.

    Attributes:
        lines: Its text; empty for a waypoint of an edge.
        inner: The picture of the node's graph, if it is one.
        x: Its left edge within its picture.
        y: Its upper edge.
        floor: The lower edge of its layer, at which its edges begin to bend.
    """

    lines: Sequence[str]
    width: float
    height: float
    inner: _Picture | None = None
    kind: str = "node"
    x: float = 0.0
    y: float = 0.0
    floor: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def drawn(self, x: float, y: float, arrow: str) -> Iterator[str]:
        if not self.lines:
            return
        left, top = x + self.x, y + self.y
        yield f'<g class="{self.kind}">'
        yield _rectangle(left, top, self.width, self.height)
        for number, line in enumerate(self.lines):
            style = "name" if number == 0 else "more"
            baseline = top + _PADDING / 2 + _LINE * (number + 0.75)
            yield (
                f'<text class="{style}" x="{left + self.width / 2:.1f}" y="{baseline:.1f}">'
                f"{_svg_text(line)}</text>"
            )
        if self.inner is not None:
            above = _PADDING + _LINE * len(self.lines)
            across = left + (self.width - self.inner.width) / 2
            yield from self.inner.drawn(across, top + above, arrow)
        yield "</g>"


def _svg_text(text: str) -> str:
    """Return `text` for XML; characters that XML does not allow are replaced."""
    return escaped(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4"/>'


@dataclass
class _Picture:
    """The layout of a graph: boxes in layers, and the edges from each layer to the next."""

    layers: list[list[_Box]]
    edges: list[tuple[_Box, _Box]]
    width: float
    height: float

    def drawn(self, x: float, y: float, arrow: str) -> Iterator[str]:
        for box in itertools.chain.from_iterable(self.layers):
            yield from box.drawn(x, y, arrow)
        for source, target in self.edges:
            begin, end = x + source.middle, x + target.middle
            above, below = y + source.floor, y + target.y
            half = (above + below) / 2
            head = f' marker-end="url(#{arrow})"' if target.lines else ""
            yield (
                f'<path d="M{begin:.1f} {y + source.y + source.height:.1f}V{above:.1f}'
                f'C{begin:.1f} {half:.1f} {end:.1f} {half:.1f} {end:.1f} {below:.1f}"{head}/>'
            )


def _picture(nodes: Sequence[Labelled], *, outermost: bool) -> _Picture:
    """Lay out a graph: as deep as its longest path, in an order with few crossings."""
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.name] = 1 + max((depth[name] for name in node.inputs), default=0)
    lowest = max(depth.values(), default=0) + 1
    layers: list[list[_Box]] = [[] for _ in range(lowest + 1)]
    boxes = {node.name: _box(node) for node in nodes}
    for name, box in boxes.items():
        layers[depth[name]].append(box)
    edges: list[tuple[_Box, _Box]] = []
    if outermost:
        begin, end = _text_box(["inputs"], "io"), _text_box(["outputs"], "io")
        layers[0].append(begin)
        layers[lowest].append(end)
        for node in nodes:
            if not node.inputs:
                _connect(begin, 0, boxes[node.name], depth[node.name], layers, edges)
        if nodes:
            last = nodes[-1].name
            _connect(boxes[last], depth[last], end, lowest, layers, edges)
    for node in nodes:
        for name in node.inputs:
            _connect(boxes[name], depth[name], boxes[node.name], depth[node.name], layers, edges)
    return _placed([layer for layer in layers if layer], edges)


def _connect(
    source: _Box,
    above: int,
    target: _Box,
    below: int,
    layers: list[list[_Box]],
    edges: list[tuple[_Box, _Box]],
) -> None:
    """Add an edge, with a waypoint in each layer that it crosses."""
    for layer in range(above + 1, below):
        waypoint = _Box((), 1.0, 0.0)
        layers[layer].append(waypoint)
        edges.append((source, waypoint))
        source = waypoint
    edges.append((source, target))


def _placed(layers: list[list[_Box]], edges: list[tuple[_Box, _Box]]) -> _Picture:
    above: dict[int, list[_Box]] = {}
    for source, target in edges:
        above.setdefault(id(target), []).append(source)
    width = max((_width(layer) for layer in layers), default=0.0)
    y = 0.0
    for layer in layers:
        # Each box is placed near the mean of its inputs (the barycentre rule).
        layer.sort(key=lambda box: _mean([s.middle for s in above.get(id(box), ())], width / 2))
        x, height = (width - _width(layer)) / 2, max(box.height for box in layer)
        for box in layer:
            box.x, box.y, box.floor = x, y, y + height
            x += box.width + _GAP_ACROSS
        y += height + _GAP_DOWN
    return _Picture(layers, edges, width, max(0.0, y - _GAP_DOWN))


def _width(layer: Sequence[_Box]) -> float:
    return sum(box.width for box in layer) + _GAP_ACROSS * (len(layer) - 1)


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _box(node: Labelled) -> _Box:
    if not node.inner:
        return _text_box(node.lines, "node")
    inner = _picture(node.inner, outermost=False)
    outside = _text_box(node.lines, "graph")
    outside.inner = inner
    outside.width = max(outside.width, inner.width + 2 * _PADDING)
    outside.height += inner.height + 1.5 * _PADDING
    return outside


def _labelled(graph: NoNGraphData) -> list[Labelled]:
    found = []
    for node in graph:
        inner = _labelled(node.operator) if isinstance(node.operator, NoNGraphData) else []
        lines = [node.name] if inner else _labels(node)
        found.append(Labelled(node.name, lines, node.inputs, inner))
    return found


def _text_box(lines: Sequence[str], kind: str) -> _Box:
    width = max(len(line) for line in lines) * _CHARACTER + 2 * _PADDING
    return _Box(lines, width, len(lines) * _LINE + _PADDING, kind=kind)


def _labels(node: Node) -> list[str]:
    """Return the text of a box: the node, its operator and its models."""
    models = [lm.model.model_id for lm in node.operator.lm_modules()]
    return [node.name, type(node.operator).__name__, *counted(models)]


def counted(models: Sequence[str]) -> list[str]:
    """Return lines that name models, in order: equal ones in one line, and at most six lines."""
    runs = [(name, len(list(run))) for name, run in itertools.groupby(models)]
    lines = [name if count == 1 else f"{count} x {name}" for name, count in runs]
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES + 1
        lines = [*lines[: _MOST_LINES - 1], f"and {more} more"]
    return lines
