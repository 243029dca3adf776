"""The live tool's page in headless Chromium with a fake camera, for whoever measures or draws it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"


@contextmanager
def live_page(run: Path, film: Path, *, threads: int = 1, chromium: str = CHROMIUM) -> Iterator[Page]:
    """Start `pellucid live` for a run, and open its page with a camera that plays a film (.y4m)."""
    command = [sys.executable, "-m", "pellucid", "live", str(run), "--no-browser", "--port", "0"]
    with subprocess.Popen([*command, "--threads", str(threads)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = re.search(r"http\S+", server.stdout.readline())
        if address is None:
            sys.exit("the server did not start")
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium,
                    args=[
                        "--no-sandbox",
                        "--disable-gpu",
                        "--use-fake-ui-for-media-stream",
                        "--use-fake-device-for-media-stream",
                        f"--use-file-for-fake-video-capture={film}",
                    ],
                )
                page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
                page.goto(address[0])
                page.wait_for_timeout(3000)
                yield page
                browser.close()
        finally:
            server.terminate()
