"""The page in Debian's Chromium, with a camera that plays simulated people, on a really trained model."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from film import turning, write_film
from people_run import make_people_run
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

VARIED = ("azimuth", "background_color", "sunglasses")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium; without it these tests are skipped, but never in CI."""
    path = shutil.which("chromium")
    if path is None:
        reason = "needs Debian's chromium: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def people_run(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A beta-TCVAE of simulated people whose sunglasses have a latent of their own; with a detector."""
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_CACHE", str(folder / "cache"))
        return make_people_run(
            folder, VARIED, images=4000, size=32, latents=8, preset="burgess", beta=1.0, steps=1000
        )


@dataclass
class Server:
    """`pellucid live` in a process of its own."""

    run: Path
    port: int = 0
    address: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the same port as before."""
        command = [sys.executable, "-m", "pellucid", "live", str(self.run), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--device", "cpu", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line):
                self.address, self.port = found[0], int(found[1])
                return
        pytest.fail("the server ended before it printed its address")

    def stop(self) -> None:
        """End it as a person would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="session")
def server(people_run: Path) -> Iterator[Server]:
    """A server that all tests share."""
    running = Server(people_run)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium with a camera that plays one person turning, then the same one in sunglasses."""
    film = tmp_path_factory.mktemp("film") / "people.y4m"
    write_film(film, torch.cat([turning(45), turning(45, sunglasses=1.0)]))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ],
        )
        yield started
        started.close()


@dataclass
class Opened:
    """A page with what it said and asked for."""

    page: Page
    server: Server
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def pixels(self, selector: str) -> np.ndarray:
        """RGB of a canvas, [height width 3]."""
        address = self.page.evaluate(
            "(selector) => document.querySelector(selector).toDataURL('image/png')", selector
        )
        content = base64.b64decode(address.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def until(self, expression: str) -> None:
        """Wait until JavaScript is true; Playwright's own way needs eval, which the page forbids."""
        for _ in range(400):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never came true: {expression}")

    def value(self, latent: int) -> float:
        """What a slider shows."""
        text = self.page.locator(f'[data-latent="{latent}"] .value').inner_text()
        return float(text.replace("−", "-"))


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens the page; afterwards it must have said no error and asked no other origin for anything."""
    opened: list[tuple[Opened, bool]] = []

    def open_page(
        *, width: int = 1440, height: int = 900, failing: bool = False, before: str = "", **context: object
    ) -> Opened:
        tab = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()  # type: ignore[arg-type]
        tab.set_default_timeout(20_000)
        here = Opened(tab, server)

        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                here.errors.append(message.text)

        def asked(request: Request) -> None:
            here.asked.append(request.url)

        tab.on("console", said)
        tab.on("pageerror", lambda error: here.errors.append(str(error)))
        tab.on("request", asked)
        if before:
            tab.add_init_script(before)
        tab.goto(server.address)
        tab.wait_for_url(f"http://127.0.0.1:{server.port}/")  # the token has left the address
        opened.append((here, failing))
        here.until("document.querySelector('#save-state').disabled === false")
        return here

    yield open_page
    for here, failing in opened:
        foreign = [
            url
            for url in here.asked
            if not url.startswith((f"http://127.0.0.1:{server.port}/", "data:", "blob:"))
        ]
        here.page.context.close()
        assert not foreign
        assert failing or not here.errors
