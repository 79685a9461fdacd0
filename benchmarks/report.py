"""What was measured, against the bars, as text for the terminal and for RESULTS.md."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from works import Bar, Entry, Work

MiB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """One round of one entry."""

    cpu: float
    wall: float
    rss: float
    operations: int
    #: DeleteObjects requests that the server saw, where they are counted.
    requests: int = 0


@dataclass
class Result:
    """All rounds of a work."""

    work: Work
    samples: dict[Entry, list[Sample]]
    failures: dict[Entry, str] = field(default_factory=dict)
    rounds: int = 0
    size: int = 0

    @property
    def title(self) -> str:
        return self.work.title.replace(
            "1 GiB", f"{self.size // MiB} MiB" if self.size < 2**30 else "1 GiB"
        )

    def cost(self, sample: Sample) -> float:
        """CPU of one operation (or key), in the work's unit."""
        return sample.cpu / sample.operations * self.work.scale[0]

    def costs(self, entry: Entry) -> list[float]:
        return [self.cost(sample) for sample in self.samples[entry]]

    def complete(self, client: str) -> list[Entry]:
        """The client's entries that have a sample of each round."""
        return [
            entry
            for entry, samples in self.samples.items()
            if entry.client == client and samples and len(samples) == self.rounds
        ]

    def best(self, client: str, modes: tuple[str, ...] = ()) -> tuple[Entry | None, int]:
        """The client's entry that takes least CPU, of those modes or of all; and of how many it is."""
        found = [entry for entry in self.complete(client) if not modes or entry.mode in modes]
        return min(
            found, key=lambda entry: statistics.median(self.costs(entry)), default=None
        ), len(found)

    def ours(self) -> Entry | None:
        """s3po's first entry, to which the table compares."""
        return next(iter(self.complete("s3po")), None)

    def ratios(self, one: Entry, other: Entry) -> list[float]:
        """CPU of one operation of `one` by that of `other`, round by round."""
        return [a / b for a, b in zip(self.costs(one), self.costs(other), strict=True)]


@dataclass(frozen=True)
class Line:
    """A bar, and how it came out. `met` is None where there was nothing to compare."""

    work: str
    bar: str
    measured: str
    met: bool | None
    #: Which settings were compared, where there was a choice.
    which: str = ""
    #: Round by round.
    ratios: tuple[float, ...] = ()


def judge(result: Result) -> list[Line]:
    lines = [_judge_bar(result, bar) for bar in result.work.bars]
    if result.work.memory:
        for entry in result.complete("s3po"):
            most = max(sample.rss for sample in result.samples[entry])
            lines.append(
                Line(
                    result.title,
                    f"RSS under {result.work.memory // MiB} MiB ({entry.setting})",
                    f"{most / MiB:.0f} MiB",
                    most < result.work.memory,
                )
            )
    if result.work.name == "delete" and (ours := result.ours()) is not None:
        sample = result.samples[ours][0]
        due = -(-sample.operations // 1000)
        lines.append(
            Line(
                result.title,
                f"{due} requests",
                f"{sample.requests}",
                sample.requests == due,
            )
        )
    return lines


def _judge_bar(result: Result, bar: Bar) -> Line:
    ours, our_count = result.best("s3po", bar.ours)
    theirs, their_count = result.best(bar.theirs, bar.modes)
    name = bar.theirs + (f" ({bar.text})" if bar.text else "")
    text = f"CPU at most {bar.limit:g} x {name}"
    if ours is None or theirs is None:
        return Line(result.title, text, "not measured", None)
    ratios = result.ratios(ours, theirs)
    ratio = statistics.median(ratios)
    which = [
        f"{entry.client}: {entry.setting}"
        for entry, count in ((ours, our_count), (theirs, their_count))
        if count > 1
    ]
    return Line(
        result.title,
        text,
        f"{ratio:.2f}",
        ratio <= bar.limit,
        "; ".join(which),
        tuple(ratios),
    )


def number(value: float) -> str:
    if value >= 99.5:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def rows(result: Result) -> list[list[str]]:
    """The table of a work."""
    work = result.work
    ours = result.ours()
    found = [
        [
            "client",
            "setting",
            f"CPU, {work.scale[1]}" + ("/key" if work.each > 1 or work.name == "delete" else ""),
            "range",
            "of s3po's",
            work.rate.strip(),
            "peak RSS, MiB",
        ]
    ]
    for entry, samples in result.samples.items():
        if entry in result.failures:
            found.append([entry.client, entry.setting, result.failures[entry][:120], *[""] * 4])
            continue
        if not samples:
            continue
        costs = result.costs(entry)
        if work.job in ("get_file", "put_file"):
            rates = [result.size / sample.wall / 1e6 for sample in samples]
        else:
            rates = [sample.operations / sample.wall for sample in samples]
        ratio = ""
        if ours is not None and len(samples) == result.rounds:
            ratio = f"{statistics.median(result.ratios(entry, ours)):.2f}"
        found.append(
            [
                entry.client,
                entry.setting,
                number(statistics.median(costs)),
                f"{number(min(costs))}-{number(max(costs))}",
                ratio,
                number(statistics.median(rates)),
                f"{max(sample.rss for sample in samples) / MiB:.0f}",
            ]
        )
    return found


def _numbers(table: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers; the first two hold names."""
    return [
        place > 1 and any(row[place][:1].isdigit() for row in table[1:])
        for place in range(len(table[0]))
    ]


def text_table(table: Sequence[Sequence[str]]) -> str:
    """In columns: those that hold numbers to the right."""
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    right = _numbers(table)
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if right[place] else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(table: Sequence[Sequence[str]]) -> str:
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in table]
    lines = [head, ["---:" if right else "---" for right in _numbers(table)], *rest]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def bars_table(lines: Iterable[Line]) -> list[list[str]]:
    words = {True: "met", False: "MISSED", None: "?"}
    return [
        ["work", "bar", "measured", "", "settings"],
        *([line.work, line.bar, line.measured, words[line.met], line.which] for line in lines),
    ]


def machine() -> list[str]:
    model = "unknown"
    count = 0
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                count += 1
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) * 1024
    return [
        f"{count or '?'} x {model}, {memory / 2**30:.0f} GiB of memory",
        f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
    ]


def stolen() -> tuple[int, int]:
    """Ticks that the machine's host gave to others, and all ticks, so far."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return fields[7], sum(fields[:8])
