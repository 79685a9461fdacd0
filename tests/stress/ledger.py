"""What a store may hold by all that its operations said."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Mapping

#: A key's object is not there.
ABSENT = ""


def fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Ledger:
    """By key, the contents that may be there: one where the last write returned, two where it raised."""

    def __init__(self) -> None:
        self._states: dict[str, frozenset[str]] = {}
        #: What the store was seen to break: (kind, key, what).
        self.broken: list[tuple[str, str, str]] = []
        #: By key, what was said of it last.
        self._history: dict[str, deque[str]] = {}

    def note(self, key: str, what: str) -> None:
        self._history.setdefault(key, deque(maxlen=8)).append(what)

    def break_(self, kind: str, key: str, what: str) -> None:
        """Note that what is there is not what may be there."""
        self.broken.append((kind, key, f"{what}; before: {', '.join(self._history.get(key, ()))}"))

    def state(self, key: str) -> frozenset[str]:
        return self._states.get(key, frozenset((ABSENT,)))

    def keys(self) -> Iterable[str]:
        return self._states

    def wrote(self, key: str, content: str) -> None:
        """An operation returned: what it was to do is done."""
        self._states[key] = frozenset((content,))
        self.note(key, f"wrote {content[:6] or 'nothing'}")

    def may_have_written(self, key: str, *contents: str) -> None:
        """An operation raised: the old is there or the new."""
        self._states[key] = self.state(key).union(contents)
        self.note(
            key, f"may have written {' or '.join(each[:6] or 'nothing' for each in contents)}"
        )

    def saw(self, key: str, content: str) -> None:
        """A read returned: it must be what may be there, and is what is there."""
        state = self.state(key)
        if content in state:
            self._states[key] = frozenset((content,))
            return
        kind = "lost" if content == ABSENT else "corrupt"
        known = sorted(each or "nothing" for each in state)
        self.break_(kind, key, f"{content or 'nothing'} is there, not {' or '.join(known)}")
        self._states[key] = frozenset((content,))

    def compare(self, found: Mapping[str, str]) -> None:
        """Compare all that the store holds, by key the fingerprint of its content."""
        for key in {*self._states, *found}:
            self.saw(key, found.get(key, ABSENT))

    def excuse(self, keys: Collection[str]) -> int:
        """Forget what is broken of these keys; how much that was."""
        before = len(self.broken)
        self.broken = [each for each in self.broken if each[1] not in keys]
        return before - len(self.broken)

    def count(self, kind: str) -> int:
        return sum(1 for each in self.broken if each[0] == kind)
