"""Headless Chromium over its debugging pipe: pages from files, without a package of its own.

The pipe carries JSON messages, each ended by a zero byte: commands in file descriptor 3, answers
and events in 4. Nothing listens on the network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = f"no Chromium on this machine ({', '.join(NAMES)}): the page is not tried in a browser"
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "about:blank",
)


def program() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab. `errors`: uncaught errors, and messages of the console of level error."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._number = 0
        self.errors: list[str] = []
        (target,) = (
            each
            for each in self._send("Target.getTargets", None)["targetInfos"]
            if each["type"] == "page"
        )
        attach = {"targetId": target["targetId"], "flatten": True}
        self._session: str = self._send("Target.attachToTarget", None, **attach)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def open(self, path: Path, part: str = "", width: int = 1400, dark: bool = False) -> None:
        """Open a page of this machine, and wait until it says that it is ready."""
        self.errors.clear()
        self.call("Page.navigate", url="about:blank")
        self.size(width)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=f"{path.resolve().as_uri()}{part}")
        self.wait(
            "document.readyState === 'complete' && (document.documentElement.dataset.ready"
            " || !document.getElementById('problem').hidden)"
        )

    def size(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def wait(self, condition: str, seconds: float = 30.0) -> None:
        text = (
            "new Promise((done, late) => { const end = Date.now() + %d; const look = () => {"
            " let there = false; try { there = %s; } catch (error) {}"
            " if (there) done(true); else if (Date.now() > end) late(Error('never became true'));"
            " else setTimeout(look, 20); }; look(); })"
        )
        self.value(text % (seconds * 1000, condition))

    def value(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript. A promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            raise AssertionError(f"{expression[:200]}: {text}")
        return found["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """Return the texts of elements as one sees them."""
        return list(
            self.value(
                f"Array.from(document.querySelectorAll({json.dumps(selector)}),"
                " (each) => each.innerText.trim().replace(/\\s+/g, ' '))"
            )
        )

    def click(self, selector: str, place: int = 0) -> None:
        self.value(f"document.querySelectorAll({json.dumps(selector)})[{place}].click()")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._send(method, self._session, **parameters)

    def _send(self, method: str, session: str | None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self._number:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])
            self._note(found)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._answers, 1 << 20)
            assert more, "Chromium ended"
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(first))

    def _note(self, event: dict[str, Any]) -> None:
        details = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.errors.append(thrown.get("exception", {}).get("description", thrown["text"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and details["type"] == "error":
            self.errors.append(str([each.get("value") for each in details["args"]]))
        elif event.get("method") == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(details["entry"]["text"])


@contextmanager
def opened() -> Iterator[Page]:
    """Start Chromium with a profile of its own; end it, and remove the profile, at the end."""
    found = program()
    assert found is not None, MISSING
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        commands, to_browser = os.pipe()
        from_browser, answers = os.pipe()

        def place() -> None:
            # Above 4 first: one of the two may lie where the other belongs.
            read, write = os.dup(commands), os.dup(answers)
            os.dup2(read, 3)
            os.dup2(write, 4)

        process = subprocess.Popen(
            [found, f"--user-data-dir={profile}", *FLAGS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=place,
        )
        os.close(commands)
        os.close(answers)
        try:
            yield Page(to_browser, from_browser)
        finally:
            os.close(to_browser)
            process.terminate()
            process.wait(20)
            os.close(from_browser)
