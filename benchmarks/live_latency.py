"""How fast the live tool is: from a camera's frame, or a slider, to the painted reconstruction.

    python benchmarks/live_latency.py runs/faces

Starts `pellucid live`, opens its page in headless Chromium with a fake camera of 640x480 at 30 frames a
second that plays simulated people, and reads the page's own measurements: from the frame's callback (for a
slider: its event) until the reconstruction's pixels are on their canvas. The screen shows them at its next
refresh. Needs Debian's chromium, and playwright (the extra `dev`).
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from live_page import CHROMIUM, live_page
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from film import turning, write_film

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
    parser.add_argument("--chromium", default=CHROMIUM)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or Path(folder) / "film.y4m"
        if options.film is None:
            write_film(film, torch.cat([turning(45), turning(45, sunglasses=1.0)]), width=640, height=480)
        with live_page(options.run, film, threads=options.threads, chromium=options.chromium) as page:
            print(json.dumps(measure(page, options.seconds, options.moves), indent=2))


if __name__ == "__main__":
    main()
