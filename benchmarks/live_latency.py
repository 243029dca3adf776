"""How fast the live tool is: from a camera's frame, or a slider, to the painted reconstruction.

    python benchmarks/live_latency.py runs/faces

Starts `pellucid live`, opens its page in headless Chromium with a fake camera of 640x480 at 30 frames a
second that plays simulated people, and reads the page's own measurements: from the frame's callback (for a
slider: its event) until the reconstruction's pixels are on their canvas. The screen shows them at its next
refresh. Needs Debian's chromium, and playwright (the extra `dev`).
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from film import turning, write_film  # noqa: E402

DURATIONS = "(name) => performance.getEntriesByName(name).map((entry) => entry.duration)"


def durations(page: Page, name: str) -> np.ndarray:
    """Milliseconds of every measurement of that name since the last call."""
    found = np.array(page.evaluate(DURATIONS, name))
    page.evaluate("(name) => performance.clearMeasures(name)", name)
    return found


def summary(values: np.ndarray) -> dict[str, float]:
    """Of milliseconds."""
    median, p95, most = np.quantile(values, [0.5, 0.95, 1])
    return {
        "count": len(values),
        "median_ms": round(median, 1),
        "p95_ms": round(p95, 1),
        "most_ms": round(most, 1),
    }


def measure(page: Page, seconds: float, moves: int) -> dict[str, object]:
    """The camera for so many seconds, then so many moves of one slider, 50 a second."""
    page.click("#camera")
    page.wait_for_timeout(3000)
    durations(page, "frame")
    live, spent = [], 0.0
    while spent < seconds:
        page.wait_for_timeout(5000)
        live.append(durations(page, "frame"))
        spent += 5.0
    frames = np.concatenate(live)
    page.click("#capture")
    page.wait_for_timeout(500)
    durations(page, "move")
    page.evaluate(
        """async (moves) => {
            const slider = document.querySelector("#active input[type=range]");
            for (let at = 0; at < moves; at++) {
                slider.value = 2 * Math.sin(at / 10);
                slider.dispatchEvent(new Event("input"));
                await new Promise((done) => setTimeout(done, 20));
            }
        }""",
        moves,
    )
    page.wait_for_timeout(500)
    return {
        "frames_per_second": round(len(frames) / spent, 1),
        "frame": summary(frames),
        "slider": summary(durations(page, "move")),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--film", type=Path, help="a .y4m to play instead")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or Path(folder) / "film.y4m"
        if options.film is None:
            write_film(film, torch.cat([turning(45), turning(45, sunglasses=1.0)]), width=640, height=480)
        command = [sys.executable, "-m", "pellucid", "live", str(options.run), "--no-browser", "--port", "0"]
        with subprocess.Popen(
            [*command, "--threads", str(options.threads)], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            address = re.search(r"http\S+", server.stdout.readline())
            if address is None:
                sys.exit("the server did not start")
            try:
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path=options.chromium,
                        args=[
                            "--no-sandbox",
                            "--disable-gpu",
                            "--use-fake-ui-for-media-stream",
                            "--use-fake-device-for-media-stream",
                            f"--use-file-for-fake-video-capture={film}",
                        ],
                    )
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    page.goto(address[0])
                    page.wait_for_timeout(3000)
                    print(json.dumps(measure(page, options.seconds, options.moves), indent=2))
                    browser.close()
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
