"""A headless Chromium, spoken to over a pipe in its DevTools protocol. Needs nothing but the standard library."""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time


def missing():
    """Why there is no browser; None where there is one."""
    return None if shutil.which("chromium") else "chromium is not installed (apt-get install chromium)"


class Browser:
    def __init__(self, folder):
        to_browser, self.to = os.pipe()
        self.of, from_browser = os.pipe()
        # The browser has its ends as descriptors 3 and 4; so these have to be other ones until then.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]

        def take_ends():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        # As root it has no sandbox.
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=take_ends, pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        for end in to_browser, from_browser, *ends:
            os.close(end)
        self.number, self.buffer, self.events, self.session = 0, b"", [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.ask(f"{domain}.enable")
        self.ask("Performance.enable", timeDomain="threadTicks")

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.to)
        os.close(self.of)

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.of], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.of, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, seconds=120, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression[:80]}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url, width, height, scheme):
        """Until the page has drawn itself."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.ask("Page.navigate", url=url)
        deadline = time.monotonic() + 120
        while not self.evaluate("document.readyState === 'complete' && performance.getEntriesByName('ready').length > 0"):
            if time.monotonic() > deadline:
                raise TimeoutError("the page is not ready")
            time.sleep(0.05)

    def seconds_of_work(self):
        """That the page's main thread had of a processor: what else runs on the host is not in it."""
        metrics = self.ask("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    def screenshot(self, path, whole=False):
        picture = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def complaints(self):
        """What the console says, and exceptions."""
        methods = "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"
        return [event["params"] for event in self.events if event["method"] in methods]

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
