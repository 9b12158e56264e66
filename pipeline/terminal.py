"""Output to a terminal, a file or a pipe: harmless text, and a clear error for a full disk.

Names, keys and error texts come from outside, and may contain control characters. All output goes
through `safe` at the streams, so no caller can forget it. A stream that cannot be written ends the
program with exit code 3. A pipe whose reader has gone away is no error.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO, cast

CANNOT_WRITE: Final = 3
_HARMFUL: Final = re.compile(
    # controls but tab and newline: escape sequences, carriage returns
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    # characters that reverse text or break lines
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
    # bytes that are not UTF-8, as surrogates
    "\ud800-\udfff]"
)


class OutputError(Exception):
    """Standard output that cannot be written; the text says why."""


def safe(text: str) -> str:
    """Return the text with every harmful character as an escape, such as `\\x1b`.

    Newlines and tabs stay.
    """
    return _HARMFUL.sub(_escape, text)


def one_line(text: str) -> str:
    """Return `safe` text with newlines and tabs as escapes too: for a name inside a message."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def cause(error: BaseException) -> str:
    """Return an error's reason in one line: the operating system's text if there is one."""
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # the byte itself
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class SafeStream:
    """A text stream that lets only safe text through.

    clean: False for a writer with escape sequences of its own, which makes its texts safe by
    itself. needed: True if a failed write is an OutputError.
    """

    def __init__(self, stream: TextIO, clean: bool = True, needed: bool = True) -> None:
        self.stream, self._clean, self._needed = stream, clean, needed
        with suppress(AttributeError, OSError, ValueError):
            # for characters that the locale's encoding lacks
            cast(Any, stream).reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        self._do(lambda: self.stream.write(safe(text) if self._clean else text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._do(self.stream.flush)

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            if self._needed:
                raise
            discard_pending(self.stream)
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            discard_pending(self.stream)
            if self._needed:
                raise OutputError(f"standard output cannot be written: {cause(error)}") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def discard_pending(stream: TextIO) -> None:
    """Discard the stream's pending output, so that Python's own flush at exit does not fail."""
    with suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), number)
        stream.flush()


def unwrapped(stream: TextIO) -> TextIO:
    """Return the stream for a writer that has escape sequences of its own.

    Such a writer makes its texts safe by itself.
    """
    return (
        cast(TextIO, SafeStream(stream.stream, clean=False))
        if isinstance(stream, SafeStream)
        else stream
    )


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a program's command with both streams guarded, and return its exit code.

    SystemExit passes through.
    """
    if (closed := _closed()) is not None:
        return closed(program)
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        cast(TextIO, SafeStream(out)),
        cast(TextIO, SafeStream(err, needed=False)),
    )
    try:
        return _run(program, command)
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = out, err


def _run(program: str, command: Callable[[], int]) -> int:
    code: int | None = None
    try:
        try:
            code = command()
        except BrokenPipeError:
            code = 0
            raise
        finally:
            sys.stdout.flush()  # also after --help, which raises SystemExit
    except BrokenPipeError:
        discard_pending(sys.stdout)
    except OutputError as error:
        print(f"{program}: {error}; free some space, or redirect the output", file=sys.stderr)
        code = CANNOT_WRITE
    return 0 if code is None else code


def _closed() -> Callable[[str], int] | None:
    """Replace closed standard streams by the null device; return a refusal if one was for output.

    Otherwise the next opened file would get the stream's number, and its output.
    """
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for number in closed:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
    names = {1: "standard output", 2: "standard error"}
    missing = " and ".join(name for number, name in names.items() if number in closed)
    if not missing:
        return None

    def refuse(program: str) -> int:
        left = sys.stderr if 2 not in closed else sys.stdout if 1 not in closed else None
        if left is not None:
            SafeStream(left, needed=False).write(
                f"{program}: {missing} is closed; redirect it to a file or to {os.devnull}\n"
            )
        return CANNOT_WRITE

    return refuse


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
