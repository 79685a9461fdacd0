"""What a store may hold by all that its operations said.

Operations are noted as they return or raise, and judged at the end: only then it is known which writes the
store performed when nobody waited for them any longer, and so perhaps after later ones.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: A key's object is not there.
ABSENT = ""


def fingerprint(data: bytes) -> str:
    """MD5 of a content, by which a write can be known from its ETag, too."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def multipart_etag(data: bytes, part_size: int) -> str:
    """ETag of an object that was uploaded in parts."""
    digests = [
        hashlib.md5(data[start : start + part_size], usedforsecurity=False).digest()
        for start in range(0, len(data), part_size)
    ]
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(digests)}"


@dataclass(frozen=True, slots=True)
class LateWrite:
    """A write that the store performed after its client had gone.

    Attributes:
        key: Bucket and key.
        etag: ETag that the store gave the object; empty for a delete, None where it is not known.
        sent: When it went to the store, by the monotonic clock.
        answered: When the store had performed it.
    """

    key: str
    etag: str | None
    sent: float
    answered: float = math.inf


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    key: str
    start: float
    end: float
    contents: frozenset[str] = frozenset()
    done: bool = True
    #: Source of a copy.
    source: str = ""
    moved: bool = False


@dataclass(slots=True)
class _State:
    contents: frozenset[str] = frozenset((ABSENT,))
    #: When what made it so began: what was performed later may have replaced it.
    since: float = -math.inf
    late: list[LateWrite] = field(default_factory=list)


class Ledger:
    """By key, what operations said; the operations of one key do not overlap."""

    def __init__(self) -> None:
        self._events: list[_Event] = []
        #: By ETag, the contents that were to be written.
        self._contents: dict[str, str] = {}
        #: What the store was seen to break: (kind, key, what).
        self.broken: list[tuple[str, str, str]] = []
        #: Those that need no judgement.
        self._noted: list[tuple[str, str, str]] = []
        #: Observations that a late write explains, and no other.
        self.by_late_writes = 0
        self._states: dict[str, _State] = {}
        #: By key, what was said of it last.
        self._history: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=8))

    # Notes

    def register(self, data: bytes, part_size: int | None = None) -> str:
        """Note a content that is to be written; gives its fingerprint."""
        content = fingerprint(data)
        self._contents[content] = content
        if part_size is not None:
            self._contents[multipart_etag(data, part_size)] = content
        return content

    def wrote(self, key: str, content: str, start: float, end: float) -> None:
        """An operation returned: what it was to do is done."""
        self._events.append(_Event("write", key, start, end, frozenset((content,))))

    def may_have_written(self, key: str, content: str, start: float, end: float) -> None:
        """An operation raised: the old is there or the new."""
        self._events.append(_Event("write", key, start, end, frozenset((content,)), done=False))

    def wrote_first(self, key: str, content: str, start: float, end: float) -> None:
        """A write on condition that there is nothing returned."""
        self._events.append(_Event("first", key, start, end, frozenset((content,))))

    def lost_to_other(self, key: str, start: float, end: float) -> None:
        """A write on condition that there is nothing was refused: it is not there, and another is."""
        self._events.append(_Event("first", key, start, end, done=False))

    def copied(
        self, source: str, key: str, start: float, end: float, *, done: bool, moved: bool = False
    ) -> None:
        """A copy returned, or raised; `moved`: its source is deleted after it."""
        self._events.append(_Event("copy", key, start, end, done=done, source=source, moved=moved))

    def saw(self, key: str, content: str, start: float, end: float) -> None:
        """A read returned: it must be what may be there, and is what is there."""
        self._events.append(_Event("read", key, start, end, frozenset((content,))))

    def saw_whether(self, key: str, found: bool, start: float, end: float) -> None:
        """A look returned whether there is something."""
        self._events.append(_Event("look", key, start, end, done=found))

    def note_broken(self, kind: str, key: str, what: str) -> None:
        """Note what was seen to be wrong whatever else was said."""
        self._noted.append((kind, key, what))

    def _break(self, kind: str, key: str, what: str) -> None:
        before = ", ".join(self._history.get(key, ()))
        self.broken.append((kind, key, f"{what}; before: {before}"))

    def keys(self) -> Iterable[str]:
        return {event.key for event in self._events}

    def compare(self, found: Mapping[str, str], start: float, end: float) -> None:
        """Compare all that the store holds, by key the fingerprint of its content."""
        for key in sorted({*self.keys(), *found}):
            self.saw(key, found.get(key, ABSENT), start, end)

    def count(self, kind: str) -> int:
        return sum(1 for each in self.broken if each[0] == kind)

    # Judgement

    def judge(self, late: Iterable[LateWrite] = ()) -> None:
        """Find out what is broken, with the writes that were performed late."""
        self._states.clear()
        self._history.clear()
        self.broken = list(self._noted)
        self.by_late_writes = 0
        for write in late:
            self._state(write.key).late.append(write)
        for event in self._events:
            getattr(self, f"_judge_{event.kind}")(event)

    def _state(self, key: str) -> _State:
        return self._states.setdefault(key, _State())

    def _late(self, key: str, end: float) -> frozenset[str]:
        """Contents that writes performed late may have put there by then."""
        state = self._state(key)
        return frozenset(
            # What the store made of bytes that nobody meant to write is known by its ETag alone.
            self._contents.get(write.etag, write.etag)
            for write in state.late
            if write.etag is not None and write.answered > state.since and write.sent < end
        )

    def _possible(self, event: _Event, key: str) -> frozenset[str]:
        return self._state(key).contents | self._late(key, event.end)

    def _set(self, event: _Event, key: str, contents: frozenset[str], *, sure: bool = True) -> None:
        state = self._state(key)
        if sure:
            state.contents, state.since = contents, event.start
        else:
            state.contents |= contents
        self._history[key].append(
            f"{event.start:.3f}-{event.end:.3f} {event.kind}{'' if event.done else ' (not)'}"
            f"{' of ' + event.source if event.source else ''} {_named(contents)}"
        )

    def _explained(self, holds: bool, holds_by_late: bool) -> bool:
        if not holds and holds_by_late:
            self.by_late_writes += 1
        return holds or holds_by_late

    def _judge_write(self, event: _Event) -> None:
        self._set(event, event.key, event.contents, sure=event.done)

    def _judge_first(self, event: _Event) -> None:
        sure, possible = self._state(event.key).contents, self._possible(event, event.key)
        if event.done:
            if not self._explained(ABSENT in sure, ABSENT in possible):
                self._break("lost", event.key, "a conditional write replaced an object")
            self._set(event, event.key, event.contents)
            return
        if not self._explained(sure != {ABSENT}, possible != {ABSENT}):
            self._break("lost", event.key, "a first write was said to have lost to nobody")
            return
        self._set(event, event.key, possible - {ABSENT})

    def _judge_copy(self, event: _Event) -> None:
        contents = self._possible(event, event.source) - {ABSENT}
        if event.done and not contents:
            self._break("corrupt", event.key, f"a copy of nothing, {event.source}")
        self._set(event, event.key, contents, sure=event.done)
        if event.moved:
            self._set(event, event.source, frozenset((ABSENT,)), sure=event.done)

    def _judge_read(self, event: _Event) -> None:
        (content,) = event.contents
        sure, possible = self._state(event.key).contents, self._possible(event, event.key)
        if not self._explained(content in sure, content in possible):
            self._break(
                "lost" if content == ABSENT else "corrupt",
                event.key,
                f"{content or 'nothing'} is there, not {_named(possible)}",
            )
        self._set(event, event.key, event.contents)

    def _judge_look(self, event: _Event) -> None:
        sure, possible = self._state(event.key).contents, self._possible(event, event.key)

        def holds(contents: frozenset[str]) -> bool:
            return contents != {ABSENT} if event.done else ABSENT in contents

        if not self._explained(holds(sure), holds(possible)):
            self._break("lost", event.key, f"exists is {event.done}")
            return
        self._set(event, event.key, possible - {ABSENT} if event.done else frozenset((ABSENT,)))


def _named(contents: Iterable[str]) -> str:
    return " or ".join(sorted(each or "nothing" for each in contents)) or "what is not known"
