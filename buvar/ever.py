"""What any layer of this process ever held: who decides something once need not look for what cannot be there."""

from __future__ import annotations

import threading
import typing as t
import weakref

from .declaration import Declaration

if t.TYPE_CHECKING:
    import collections.abc as c


class Watcher(t.Protocol):
    """Who assumes that no layer anywhere ever held a key, and is told when one does."""

    def forget(self) -> None:
        """Drop all that was concluded from the assumption."""


class Ever:
    """The classes under which any layer ever held something, and who relies on a class not being one of them.

    Only classes are kept, since they are few; any other key may have been held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[type, weakref.WeakSet[t.Any]] = {}
        #: the bases of each class under which something was added, but for classes of classes and of declarations
        self.bases: dict[t.Any, tuple[t.Any, ...]] = {}
        self.held: set[t.Hashable] = set()
        #: the classes under which something with a name was added
        self.named: set[t.Hashable] = set()

    def may_hold(self, key: t.Hashable, *, named: bool) -> bool:
        """Tell whether some layer may have something under *key*; what is no class may always be there."""
        return not isinstance(key, type) or key in (self.named if named else self.held)

    def watch(self, keys: c.Iterable[tuple[t.Hashable, bool]], watcher: Watcher) -> bool:
        """Tell *watcher* when something is first added under one of *keys* (named or not); False if it was already."""
        with self._lock:
            keys = tuple(keys)
            if any(key in (self.named if named else self.held) for key, named in keys):
                return False
            for key, _ in keys:
                self._watchers.setdefault(t.cast("type", key), weakref.WeakSet()).add(watcher)
            return True

    def first(self, key: t.Any) -> tuple[t.Any, ...]:
        """Note that something is added under *key* for the first time; return the keys that it is filed under."""
        if not isinstance(key, type):
            return (key,)
        bases = key.__mro__
        self._tell(self.held, bases)
        # else an instance of it is a class, which is not added, or is filed under its name: see there each time
        if not issubclass(key, type | Declaration):
            self.bases[key] = bases
        return bases

    def note(self, key: t.Hashable) -> None:
        """Note that something is filed under *key* alone."""
        if isinstance(key, type):
            self._tell(self.held, (key,))

    def note_named(self, bases: tuple[t.Hashable, ...]) -> None:
        """Note that something with a name is filed under *bases*."""
        if bases[0] in self.named:
            return
        self._tell(self.named, tuple(key for key in bases if isinstance(key, type)))

    def _tell(self, held: set[t.Hashable], keys: tuple[t.Any, ...]) -> None:
        with self._lock:
            new = [key for key in keys if key not in held]
            held.update(new)
            told = {watcher for key in new for watcher in self._watchers.pop(key, ())}
        for watcher in told:
            watcher.forget()


#: of all layers of this process
ever: t.Final = Ever()
