"""Draw the screenshots of the documentation: the live tool on a model of simulated people.

    python benchmarks/live_pictures.py docs/images

Trains it first (some ten minutes on one core) unless --run names one: 6,000 people who differ in six things.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from live_page import live_page

from pellucid.data.people import NAMES

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from film import turning, write_film
from people_run import make_people_run

VARIED = ("azimuth", "background_color", "clothes_color", "sunglasses", "hat", "light_azimuth")


def main() -> None:
    """Hold the sunglasses of a sample at another value; compare another one with the camera's picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path, help="a run that this made before")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or make_people_run(
            Path(folder), VARIED, images=6000, size=64, latents=12, preset="photo", beta=1.5, steps=1100
        )
        film = Path(folder) / "film.y4m"
        factors = turning(60, sunglasses=1.0)
        factors[:, NAMES.index("azimuth")] *= 0.5
        write_film(film, factors, width=640, height=480)
        with live_page(run, film) as page:
            page.locator("#shelf button").nth(1).click()  # in sunglasses
            page.wait_for_timeout(800)
            page.locator("#active li", has_text="sunglasses").locator("input").evaluate(
                "(slider) => { slider.value = 1.3; slider.dispatchEvent(new Event('input')); }"
            )
            page.wait_for_timeout(800)
            page.screenshot(path=options.out / "live.png")
            page.locator("#shelf button").nth(4).click()  # without
            page.wait_for_timeout(800)
            page.click("#pin-a")
            page.click("#camera")
            page.wait_for_timeout(4000)
            page.click("#capture")
            page.wait_for_timeout(1000)
            page.click("#take-b")
            page.wait_for_timeout(1500)
            page.locator("#comparison").screenshot(path=options.out / "live-compared.png")


if __name__ == "__main__":
    main()
