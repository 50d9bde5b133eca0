"""A real browser for tests: headless Chromium, driven over a pipe by its own protocol, so that nothing is installed."""

import json
import os
import shutil
import subprocess
import sys
import time

PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = ("--headless=new", "--disable-gpu", "--no-sandbox", "--no-first-run", "--disable-dev-shm-usage")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync")
CODES = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowUp": 38, "ArrowDown": 40, "Delete": 46, "Tab": 9, "Enter": 13}


class Browser:
    """One process with a profile of its own; closed, its profile stays, as that of a person does."""

    def __init__(self, profile):
        ours, theirs = os.pipe(), os.pipe()  # what we write and it reads as 3; what it writes as 4 and we read
        wrapper = (  # by way of numbers that are free of 3 and 4
            "import fcntl, os, sys; r, w = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]); "
            "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
        )
        command = [PATH, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", wrapper, str(ours[0]), str(theirs[1]), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(ours[0], theirs[1]),
            env={**os.environ, "HOME": str(profile)},
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.writes, self.reads, self.buffer, self.number, self.events = ours[1], theirs[0], b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.send("Browser.close")
        self.process.wait(timeout=30)
        os.close(self.writes)
        os.close(self.reads)

    def send(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        while b"\0" not in self.buffer:
            part = os.read(self.reads, 1 << 20)
            if not part:
                raise RuntimeError("the browser has gone")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, dark=False, apart=False):
        """A tab with the page; apart: without anything that others keep, as a private window."""
        context = {"browserContextId": self.send("Target.createBrowserContext")["browserContextId"]} if apart else {}
        target = self.send("Target.createTarget", url="about:blank", **context)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.send("Emulation.setEmulatedMedia", features=scheme)
        page.send("Emulation.setDeviceMetricsOverride", width=1200, height=900, deviceScaleFactor=1, mobile=False)
        page.send("Page.navigate", url=path.absolute().as_uri())
        page.wait("document.readyState === 'complete'")
        return page


class Page:
    """One tab."""

    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session

    def send(self, method, **params):
        return self.browser.send(method, self.session, **params)

    def run(self, script):
        """The value of an expression, JSON-able."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", script))
        return answer["result"].get("value")

    def wait(self, script, seconds=20):
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def press(self, *keys):
        """Keys as a person presses them: trusted events, with what the browser does by itself."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
            code = CODES.get(key, ord(key[0].upper()))
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def close(self):
        self.browser.send("Target.closeTarget", targetId=self.target)

    def complaints(self):
        """What the console and the log of this tab say, and the addresses that it asked for beyond the page itself."""
        self.run("1")
        said = []
        for event in (event for event in self.browser.events if event.get("sessionId") == self.session):
            params = event["params"]
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                said.append(json.dumps(params)[:500])
            if event["method"] == "Network.requestWillBeSent":
                address = params["request"]["url"]
                if not address.startswith(("data:", "blob:", "file:")) or params["type"] not in ("Document", "Image"):
                    said.append(address[:200])
        return said
