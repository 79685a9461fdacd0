"""Pictures of the documentation, from the tables of RESULTS.md: `make plots`, and at the end of `make bench`.

    python benchmarks/plots.py

Writes docs/img/speed.svg (CPU of small requests by client), docs/img/memory.svg (peak memory by object size),
docs/img/scale.svg (time by number of objects, where that was measured), the table of README.md and docs/performance.md
between `<!-- figures -->` and `<!-- /figures -->`, and that of docs/performance.md between `<!-- other figures -->` and
`<!-- /other figures -->`. Standard library only; no figure is written by hand.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IMAGES = ROOT / "docs" / "img"

#: Works of the speed plot: title in RESULTS.md, and how it is called in the plot.
SMALL = {
    "GET of 1 KiB, 50 in flight, HTTP": "GET 1 KiB, HTTP",
    "GET of 1 KiB, 50 in flight, TLS": "GET 1 KiB, TLS",
    "PUT of 1 KiB, 50 in flight, HTTP": "PUT 1 KiB, HTTP",
    "PUT of 1 KiB, 50 in flight, TLS": "PUT 1 KiB, TLS",
}
MEMORY = {
    "GET of 1 KiB, 50 in flight, HTTP": "GET 1 KiB, 50 at a time",
    "GET of 1 GiB to a file, HTTP": "GET 1 GiB to a file",
    "PUT of 1 GiB from a file, multipart, HTTP": "PUT 1 GiB in parts",
}
#: Works of the second table: title in RESULTS.md, name and unit.
OTHERS = {
    "GET of 1 GiB to a file, HTTP": "GET of 1 GiB to a file, HTTP, s",
    "PUT of 1 GiB from a file, single, HTTP": "PUT of 1 GiB from a file, one request, HTTP, s",
    "PUT of 1 GiB from a file, multipart, HTTP": "PUT of 1 GiB from a file, multipart, HTTP, s",
    "PUT of 1 GiB from a file, single, TLS": "PUT of 1 GiB from a file, one request, TLS, s",
    "PUT of 1 GiB from a file, multipart, TLS": "PUT of 1 GiB from a file, multipart, TLS, s",
    "list, 1,000 keys a page": "list, 1,000 keys a page, us a key",
    "delete 100,000 keys": "delete 100,000 keys, us a key",
}
#: `loop` is a loop of bare sockets, no client; programs are measured elsewhere.
NOT_PLOTTED = {"loop", "rclone", "s3cmd"}

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; }
.axis { stroke: #d1d9e0; stroke-width: 1; }
.bar { fill: #9aa4af; }
.ours { fill: #d9480f; }
.line { fill: none; stroke-width: 2; stroke: #9aa4af; }
.line.ours { fill: none; stroke: #d9480f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .axis { stroke: #3d444d; }
  .bar { fill: #6e7781; }
  .ours { fill: #ff8a4c; }
  .line { stroke: #6e7781; }
  .line.ours { stroke: #ff8a4c; }
}
"""

Table = list[dict[str, str]]


def read_tables(text: str) -> dict[str, Table]:
    """Tables of RESULTS.md by the heading that each stands under; a row by its columns' names."""
    tables: dict[str, Table] = {}
    title = ""
    head: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            title, head = line.lstrip("# "), []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not head:
                head = cells
                tables.setdefault(title, [])
            elif not set("".join(cells)) <= set(":- "):
                tables[title].append(dict(zip(head, cells, strict=True)))
        else:
            head = []
    return tables


def number(cell: str) -> float | None:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return None


def best(table: Table, column: str) -> dict[str, float]:
    """Each client's least figure of a column whose name begins so."""
    found: dict[str, float] = {}
    for row in table:
        name = next((name for name in row if name.startswith(column)), None)
        value = number(row[name]) if name else None
        if value is not None and row["client"] not in NOT_PLOTTED:
            found[row["client"]] = min(value, found.get(row["client"], math.inf))
    return found


def first(table: Table, column: str) -> dict[str, float]:
    """The figure of each client's setting that takes least CPU."""
    least: dict[str, tuple[float, float]] = {}
    for row in table:
        cpu = next((number(row[name]) for name in row if name.startswith("CPU")), None)
        value = number(row.get(column, ""))
        if cpu is None or value is None or row["client"] in NOT_PLOTTED:
            continue
        if row["client"] not in least or cpu < least[row["client"]][0]:
            least[row["client"]] = (cpu, value)
    return {client: value for client, (_, value) in least.items()}


def svg(width: int, height: int, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n'
        f"<style>\n{STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, classes: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{classes}" text-anchor="{anchor}">{escape(words)}</text>'


def panels(title: str, note: str, groups: dict[str, dict[str, float]], unit: str, log: bool) -> str:
    """Horizontal bars, two panels a row; the axis of all is the same."""
    row, gap, label, wide = 21, 16, 76, 400
    most = max(value for group in groups.values() for value in group.values())
    least = min(value for group in groups.values() for value in group.values())
    floor = 10 ** math.floor(math.log10(least)) if log else 0.0

    def length(value: float) -> float:
        room = wide - label - 76
        if log:
            return room * math.log(value / floor) / math.log(most / floor)
        return room * value / most

    body = [text(0, 16, title, "title"), text(0, 36, note, "quiet")]
    top = 52
    names = list(groups)
    for place in range(0, len(names), 2):
        pair = names[place : place + 2]
        for side, name in enumerate(pair):
            left = side * (wide + gap)
            body.append(text(left, top + 14, name))
            for index, (client, value) in enumerate(
                sorted(groups[name].items(), key=lambda item: item[1])
            ):
                y = top + 24 + index * row
                kind = "ours" if client == "s3po" else "bar"
                body += [
                    text(left + label - 8, y + 13, client, "", "end"),
                    f'<rect x="{left + label}" y="{y}" width="{max(length(value), 1):.1f}" height="15" class="{kind}"/>',
                    text(left + label + length(value) + 6, y + 13, f"{value:,.0f} {unit}", "quiet"),
                ]
        top += 24 + row * max(len(groups[name]) for name in pair) + gap
    return svg(wide * 2 + gap, top, title, body)


def curve(title: str, note: str, points: dict[str, list[tuple[float, float]]]) -> str:
    """Lines on two logarithmic axes."""
    left, right, top, bottom, width, height = 60, 90, 56, 34, 816, 320
    xs = [x for line in points.values() for x, _ in line]
    ys = [y for line in points.values() for _, y in line]
    low = [math.floor(math.log10(min(xs))), math.floor(math.log10(min(ys)))]
    high = [math.ceil(math.log10(max(xs))), math.ceil(math.log10(max(ys)))]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (width - left - right) * (math.log10(x) - low[0]) / max(1, high[0] - low[0]),
            height
            - bottom
            - (height - top - bottom) * (math.log10(y) - low[1]) / max(1, high[1] - low[1]),
        )

    body = [text(0, 16, title, "title"), text(0, 36, note, "quiet")]
    for power in range(low[0], high[0] + 1):
        x, y = place(10.0**power, 10.0 ** low[1])
        body.append(
            f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top}" y2="{height - bottom}" class="axis"/>'
        )
        body.append(text(x, y + 18, f"{10**power:,}", "quiet", "middle"))
    for power in range(low[1], high[1] + 1):
        x, y = place(10.0 ** low[0], 10.0**power)
        body.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y:.0f}" y2="{y:.0f}" class="axis"/>'
        )
        body.append(text(x - 8, y + 4, f"{10.0**power:g} s", "quiet", "end"))
    ends: list[tuple[float, float, str]] = []
    for name, line in points.items():
        places = [place(x, y) for x, y in sorted(line)]
        kind = "line ours" if name.startswith("s3po") else "line"
        body.append(
            f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        )
        ends.append((places[-1][0], places[-1][1], name))
    below: dict[float, float] = {}
    for x, y, name in sorted(ends):
        # Labels of lines that end close together are moved apart.
        below[x] = max(y, below.get(x, 0.0) + 12)
        body.append(text(x + 6, below[x] + 4, name))
    return svg(width, height, title, body)


def figures(tables: dict[str, Table]) -> str:
    """The table of README.md and docs/performance.md: CPU of a request, by client."""
    columns = {name: best(tables[title], "CPU") for title, name in SMALL.items() if title in tables}
    clients = sorted(
        next(iter(columns.values())), key=lambda client: next(iter(columns.values()))[client]
    )
    cold = first_of(tables, "Cold start", "CPU, ms")
    memory = first_of(tables, "Cold start", "RSS, MiB")
    size = first_of(tables, "Installed size", "installed, MB")
    head = [
        "CPU of a request, us",
        *columns,
        "first object, ms of CPU",
        "memory, MiB",
        "installed, MB",
    ]
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for client in clients:
        cells = [
            f"{values[client]:,.0f}" if client in values else "" for values in columns.values()
        ]
        cells += [
            f"{values[client]:,.0f}" if client in values else "" for values in (cold, memory, size)
        ]
        name = f"**{client}**" if client == "s3po" else client
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def run_of(results: str) -> str:
    """Sentence that tells the date and the version of s3po of a run."""
    date = re.search(r"^Written by .* on (\d{4}-\d{2}-\d{2})", results, re.MULTILINE)
    version = re.search(r"^- s3po ([^,\n]+)", results, re.MULTILINE)
    if date is None or version is None:
        raise ValueError("RESULTS.md names no date or no version of s3po")
    return f"Measured on {date[1]} with s3po {version[1]}."


def other_figures(tables: dict[str, Table]) -> str:
    """The second table of docs/performance.md: CPU of large bodies, listings and deletions, by client."""
    works = {
        name: {
            client: cell
            for client, (_, cell) in sorted(
                least_cells(tables[title]).items(), key=lambda item: item[1][0]
            )
        }
        for title, name in OTHERS.items()
        if title in tables
    }
    clients = list(dict.fromkeys(client for cells in works.values() for client in cells))
    clients.sort(key=lambda client: client != "s3po")
    lines = [f"| CPU | {' | '.join(clients)} |", f"| --- |{' ---: |' * len(clients)}"]
    for name, cells in works.items():
        lines.append(f"| {name} | {' | '.join(cells.get(client, '') for client in clients)} |")
    return "\n".join(lines)


def least_cells(table: Table) -> dict[str, tuple[float, str]]:
    """Each client's least CPU, as a number and as it is written."""
    found: dict[str, tuple[float, str]] = {}
    for row in table:
        cell = next(row[name] for name in row if name.startswith("CPU"))
        value = number(cell)
        if value is not None and row["client"] not in NOT_PLOTTED:
            found[row["client"]] = min((value, cell), found.get(row["client"], (math.inf, "")))
    return found


def first_of(tables: dict[str, Table], title: str, column: str) -> dict[str, float]:
    """Each client's first figure in the table whose title begins so."""
    found: dict[str, float] = {}
    for name, table in tables.items():
        if name.startswith(title):
            for row in table:
                value = number(row.get(column, ""))
                if value is not None:
                    found.setdefault(row["client"], value)
    return found


def scale(tables: dict[str, Table]) -> dict[str, list[tuple[float, float]]]:
    """Wall seconds by the number of objects: rows `client, objects, seconds`."""
    found: dict[str, list[tuple[float, float]]] = {}
    for title, table in tables.items():
        if title.startswith("Time by number of objects"):
            for row in table:
                objects, seconds = number(row["objects"]), number(row["wall, s"])
                if objects and seconds:
                    found.setdefault(row["client"], []).append((objects, seconds))
    return found


def fill(page: str, marker: str, content: str) -> str:
    """A page with content between its markers, which may be missing."""
    return re.sub(
        rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)",
        lambda match: f"{match[1]}\n{content}\n\n{match[2]}",
        page,
        flags=re.DOTALL,
    )


def filled(page: str, results: str) -> str:
    """README.md or docs/performance.md with the figures of RESULTS.md."""
    tables = read_tables(results)
    page = fill(page, "figures", f"{figures(tables)}\n\n{run_of(results)}")
    return fill(page, "other figures", other_figures(tables))


def pictures(tables: dict[str, Table]) -> dict[str, str]:
    """The SVGs by file name."""
    speed = {name: best(tables[title], "CPU") for title, name in SMALL.items() if title in tables}
    memory = {
        name: first(tables[title], "peak RSS, MiB")
        for title, name in MEMORY.items()
        if title in tables
    }
    found = {
        "speed.svg": panels(
            "CPU time of a small request",
            "Microseconds, all threads, 50 in flight, each client's best setting; logarithmic axis; less is better.",
            speed,
            "us",
            True,
        ),
        "memory.svg": panels(
            "Peak memory of the process",
            "MiB, by object size, each client's fastest setting; less is better.",
            memory,
            "MiB",
            False,
        ),
    }
    if points := scale(tables):
        found["scale.svg"] = curve(
            "Time by number of objects",
            "Seconds for GETs of 1 KiB, 50 in flight; both axes logarithmic.",
            points,
        )
    return found


def main() -> int:
    results = (HERE / "RESULTS.md").read_text("utf-8")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(read_tables(results)).items():
        (IMAGES / name).write_text(picture, "utf-8")
    for page in (ROOT / "README.md", ROOT / "docs" / "performance.md"):
        page.write_text(filled(page.read_text("utf-8"), results), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
