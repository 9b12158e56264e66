"""Reports of every change of a file under a folder by Python code of this process.

Python's audit events name each file before it is opened for writing, renamed or removed. A watcher
may raise; then the change is not made. So code under test needs no seam for its own files.

Not covered: files that compiled libraries change by themselves (delta-rs).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

Watcher = Callable[[str, str], None]
"""watcher(verb, path): path is relative to the folder."""
LockWatcher = Callable[[int, int], None]
"""watcher(file, operation): called before `fcntl.flock`."""
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PATH_OF: Final = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1}
"""Position of the changed path in the event's arguments: for a rename, its new name."""
_watchers: dict[str, tuple[Watcher, LockWatcher]] = {}
_installed: list[bool] = []


@contextmanager
def watched(folder: str, watcher: Watcher, locks: LockWatcher) -> Iterator[None]:
    """Report changes under a folder during the block, one folder at a time."""
    if not _installed:  # an audit hook cannot be removed: without watchers it does nothing
        _installed.append(True)
        sys.addaudithook(_hook)
    _watchers[folder] = (watcher, locks)
    try:
        yield
    finally:
        del _watchers[folder]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "fcntl.flock":
        for _, locks in list(_watchers.values()):
            locks(*arguments)
        return
    if event == "open":
        path, _, flags = arguments
        if not (isinstance(flags, int) and flags & _WRITES):
            return
    elif (position := _PATH_OF.get(event)) is not None:
        path = arguments[position]
    else:
        return
    if isinstance(path, int):
        return
    text = os.fsdecode(path)
    for folder, (watcher, _) in list(_watchers.items()):
        if text == folder or text.startswith(folder + os.sep):
            watcher(event.removeprefix("os."), os.path.relpath(text, folder))
