"""Boxes and lines of a graph, placed by layers: side by side for a wide page, one below the other for a narrow one. Plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MOST_IN_LAYER = 8
HEIGHT, GAP, BETWEEN = 60, 12, 36  # of a box, between boxes, between columns; pixels
LEAST_WIDTH, WIDE_ENOUGH, MOST_WIDTH = 100, 176.0, 380
PER_LETTER, PER_SMALL_LETTER, PADDING = 8.2, 5.9, 24  # pixels
STACKED, LANE = 320, 10  # width of the narrow drawing, of one lane in it


@dataclass(frozen=True)
class Node:
    """One box: a small line (`kind`), its `name`, and a small line below. `is_current`: it is what the page is about."""

    key: str
    kind: str
    name: str
    sub: str
    href: str
    is_current: bool = False


@dataclass(frozen=True)
class Box:
    """A node with its place."""

    node: Node
    x: float
    y: float
    width: float
    height: float = HEIGHT


@dataclass(frozen=True)
class Drawing:
    """Boxes, lines between them (as SVG path data), and where each line ends, for its arrow."""

    width: float
    height: float
    boxes: Sequence[Box]
    lines: Sequence[str]
    arrows: Sequence[tuple[float, float]]


def layers(nodes: Sequence[Node], edges: Iterable[tuple[str, str]]) -> list[list[Node]]:
    """The nodes in columns: each right of all that leads to it, what nothing leads to close to where it leads; fewer crossings first."""
    by_key = {node.key: node for node in nodes}
    into, out = _neighbours(by_key, edges)
    level = dict.fromkeys(by_key, 0)
    for _ in range(len(by_key)):  # a cycle, which cannot be, would end here
        moved = {
            key: max((level[source] + 1 for source in into[key]), default=0)
            for key in by_key
            if any(level[source] + 1 > level[key] for source in into[key])
        }
        if not moved:
            break
        level |= moved
    for key in by_key:
        if not into[key] and out[key]:
            level[key] = max(0, min(level[target] for target in out[key]) - 1)
    columns: dict[int, list[Node]] = defaultdict(list)
    for key, node in by_key.items():
        columns[level[key]].append(node)
    return _uncrossed([columns[number] for number in sorted(columns)], into)


def folded(
    columns: Sequence[Sequence[Node]], edges: Iterable[tuple[str, str]]
) -> tuple[list[list[Node]], list[tuple[str, str]]]:
    """Columns of at most MOST_IN_LAYER boxes: the last one stands for all that are left out, and takes their lines."""
    shown, stands_for = [], {}
    for number, column in enumerate(columns):
        ordered = sorted(column, key=lambda node: not node.is_current)
        if len(ordered) <= MOST_IN_LAYER:
            shown.append(list(column))
            continue
        kept, rest = ordered[: MOST_IN_LAYER - 1], ordered[MOST_IN_LAYER - 1 :]
        more = Node(f"more:{number}", "Not drawn", f"{len(rest):,} more", "all are in the table", "#links")
        shown.append([*kept, more])
        stands_for |= {node.key: more.key for node in rest}
    drawn = {(stands_for.get(source, source), stands_for.get(target, target)) for source, target in edges}
    return shown, sorted(edge for edge in drawn if edge[0] != edge[1])


def wide(columns: Sequence[Sequence[Node]], edges: Iterable[tuple[str, str]]) -> Drawing:
    """Columns from left to right, each centred."""
    tallest = max((len(column) for column in columns), default=0)
    height = tallest * (HEIGHT + GAP) - GAP
    boxes, x = {}, 1.0
    for column in columns:
        width = max(_width(node) for node in column)
        y = (height - len(column) * (HEIGHT + GAP) + GAP) / 2 + 1
        for node in column:
            boxes[node.key] = Box(_fitting(node, width), x, y, width)
            y += HEIGHT + GAP
        x += width + BETWEEN
    lines, arrows = [], set()
    for source, target in edges:
        if source in boxes and target in boxes:
            start, end = boxes[source], boxes[target]
            from_x, from_y = start.x + start.width, start.y + HEIGHT / 2
            to_x, to_y = end.x, end.y + HEIGHT / 2
            bend = max(24.0, (to_x - from_x) / 2)
            lines.append(
                f"M{from_x:.0f} {from_y:.0f}C{from_x + bend:.0f} {from_y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x - 5:.0f} {to_y:.0f}"
            )
            arrows.add((to_x, to_y))
    return Drawing(max(0, x - BETWEEN) + 1, height + 2, list(boxes.values()), lines, sorted(arrows))


def stacked(columns: Sequence[Sequence[Node]], edges: Iterable[tuple[str, str]]) -> Drawing:
    """All boxes one below the other. Lines run in lanes at the left: one lane for all that lead to the same boxes."""
    rows = {node.key: number for number, node in enumerate(node for column in columns for node in column)}
    nodes = {node.key: node for column in columns for node in column}
    targets: dict[str, set[str]] = defaultdict(set)
    for source, target in edges:
        if rows.get(source, -1) < rows.get(target, -1) and source in rows:
            targets[source].add(target)
    bundles: dict[frozenset[str], list[str]] = defaultdict(list)
    for source, reached in targets.items():
        bundles[frozenset(reached)].append(source)
    lanes, taken = [], []
    for reached, sources in sorted(bundles.items(), key=lambda pair: min(rows[key] for key in pair[1])):
        first, last = min(rows[key] for key in sources), max(rows[key] for key in reached)
        lane = next((number for number, until in enumerate(taken) if until < first), len(taken))
        taken[lane : lane + 1] = [last]
        lanes.append((lane, sources, sorted(reached)))
    left = len(taken) * LANE + 8.0
    middle = {key: number * (HEIGHT + GAP) + 1 + HEIGHT / 2 for key, number in rows.items()}
    width = STACKED - left - 1
    boxes = [Box(_fitting(nodes[key], width), left, y - HEIGHT / 2, width) for key, y in middle.items()]
    lines, arrows = [], set()
    for lane, sources, reached in lanes:
        x = left - 10 - lane * LANE
        leaving, coming = [middle[key] + 6 for key in sources], [middle[key] - 6 for key in reached]
        lines.append(f"M{x:.0f} {min(leaving):.0f}V{max(coming):.0f}")
        lines += [f"M{left:.0f} {y:.0f}H{x:.0f}" for y in leaving]
        lines += [f"M{x:.0f} {y:.0f}H{left - 5:.0f}" for y in coming]
        arrows |= {(left, y) for y in coming}
    return Drawing(STACKED, max(0, len(rows) * (HEIGHT + GAP) - GAP) + 2, boxes, lines, sorted(arrows))


def _neighbours(keys: Iterable[str], edges: Iterable[tuple[str, str]]) -> tuple[dict[str, set[str]], ...]:
    into: dict[str, set[str]] = {key: set() for key in keys}
    out: dict[str, set[str]] = {key: set() for key in into}
    for source, target in edges:
        if source in out and target in into:
            into[target].add(source)
            out[source].add(target)
    return into, out


def _uncrossed(columns: list[list[Node]], into: dict[str, set[str]]) -> list[list[Node]]:
    """Each column in the order of the middle of what leads to its boxes."""
    place: dict[str, float] = {}
    sorted_ = []
    for column in columns:
        middle = {node.key: _mean([place[key] for key in into[node.key] if key in place]) for node in column}
        ordered = sorted(column, key=lambda node: middle[node.key])
        place |= {node.key: float(number) for number, node in enumerate(ordered)}
        sorted_.append(ordered)
    return sorted_


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _width(node: Node) -> float:
    small = max(len(node.kind), len(node.sub)) * PER_SMALL_LETTER
    named = min(MOST_WIDTH, len(node.name) * PER_LETTER + PADDING)
    return max(LEAST_WIDTH, named, min(WIDE_ENOUGH, small + PADDING))


def _fitting(node: Node, width: float) -> Node:
    """The node with lines that fit; what was left out is in the table."""
    small, large = int((width - PADDING) / PER_SMALL_LETTER), int((width - PADDING) / PER_LETTER) + 1
    return replace(node, kind=_cut(node.kind, small), name=_cut(node.name, large), sub=_cut(node.sub, small))


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else f"{words[: letters - 1].rstrip()}…"
