"""Removes values at paths, or puts pseudonyms in their place."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from eventmodel.event import Mark
from policy.rules import ANYWHERE, steps_of

Deed: TypeAlias = Literal["redact", "hash"]

_MARKS: Final[dict[Deed, Mark]] = {"redact": "redacted", "hash": "hashed"}
_BLOCK_BYTES: Final = 64
_PSEUDONYM: Final = re.compile(r"hmac-sha256:[0-9a-f]{64}")


class _Node:
    """What happens to the value of a name, and to the names below it."""

    __slots__ = ("below", "deed")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.deed: Deed | None = None

    def find(self, steps: Iterable[str]) -> "_Node | None":
        node: _Node | None = self
        for step in steps:
            node = None if node is None else node.below.get(step)
        return node


class Erasure:
    """Paths compiled. Names are compared without case; of two rules for one value, redaction wins."""

    def __init__(self, redact: Iterable[str], hashed: Iterable[str], hash_key: bytes) -> None:
        # HMAC of RFC 2104 in its two halves, begun once: `hmac` begins with the key again for each value.
        block = (hash_key if len(hash_key) <= _BLOCK_BYTES else hashlib.sha256(hash_key).digest()).ljust(
            _BLOCK_BYTES, b"\0"
        )
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._roots = _Node()
        self._anywhere: dict[str, Deed] = {}
        self._names: dict[str, Deed] = {}
        for paths, deed in ((hashed, "hash"), (redact, "redact")):
            for path in paths:
                self._add(path, deed)  # type: ignore[arg-type]  # the two literals above

    def _add(self, path: str, deed: Deed) -> None:
        root, *names = steps_of(path)
        self._names[names[-1]] = deed
        if root == ANYWHERE:
            self._anywhere[names[0]] = deed
            return
        node = self._roots
        for name in (root, *names):
            node = node.below.setdefault(name, _Node())
        node.deed = deed

    def of_root(self, root: str, value: dict[str, Any], marks: set[Mark]) -> dict[str, Any]:
        """The `properties`, `traits` or `context` of an event as they may be kept; the same one if they may.

        Says in `marks` what was done.
        """
        node = self._roots.below.get(root)
        if not value or (node is None and not self._anywhere):
            return value
        kept = self._of(value, node, self._anywhere, marks)
        assert isinstance(kept, dict)
        return kept

    def of_names(self, value: Any) -> Any:
        """A value in a form nobody knows the paths of: every rule's last name counts, wherever it stands."""
        return self._of(value, None, self._names, set())

    def _of(self, value: Any, node: _Node | None, anywhere: dict[str, Deed], marks: set[Mark]) -> Any:
        if type(value) is dict:
            return self._of_object(value, node, anywhere, marks)
        if type(value) is list:
            return self._of_array(value, node, anywhere, marks)
        return value

    def _of_array(
        self, value: list[Any], node: _Node | None, anywhere: dict[str, Deed], marks: set[Mark]
    ) -> list[Any]:
        kept = value
        for number, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                new = self._of(item, node, anywhere, marks)
                if new is not item:
                    kept = list(value) if kept is value else kept
                    kept[number] = new
        return kept

    def _of_object(
        self, value: dict[str, Any], node: _Node | None, anywhere: dict[str, Deed], marks: set[Mark]
    ) -> dict[str, Any]:
        kept: dict[str, Any] | None = None
        for name, item in value.items():
            folded = name.casefold()
            below = None
            if node is not None:
                below = node.below.get(folded)
                if below is None and "." in folded:
                    below = node.find(folded.split("."))
            deed = anywhere.get(folded)
            if below is not None and below.deed is not None and deed != "redact":
                deed = below.deed
            if deed is None and type(item) is not dict and type(item) is not list:
                continue
            if deed == "redact":
                kept = dict(value) if kept is None else kept
                del kept[name]
            else:
                new = self._pseudonym(item) if deed == "hash" else self._of(item, below, anywhere, marks)
                if new is item:
                    continue
                kept = dict(value) if kept is None else kept
                kept[name] = new
            if deed is not None:
                marks.add(_MARKS[deed])
        return value if kept is None else kept

    def _pseudonym(self, value: Any) -> Any:
        """The same text for the same value of this project, which nobody without its secret can make.

        None stays None, and what is a pseudonym already stays, so that an event may pass twice.
        """
        if value is None or (type(value) is str and _PSEUDONYM.fullmatch(value)):
            return value
        # A refused event may hold what is no Unicode and no JSON number.
        text = value if type(value) is str else json.dumps(value, sort_keys=True)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode(errors="surrogatepass"))
        outer.update(inner.digest())
        return "hmac-sha256:" + outer.hexdigest()
