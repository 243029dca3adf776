"""What a person does on the page, and what it must show for it: checked against the library's own answers."""

import io
import json
import re
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from pellucid.anomaly.storage import load_detector
from pellucid.data.images import CROPS, Crop, crop_box, read_image, to_float, to_pixels
from pellucid.data.people import NAMES, neutral, render
from pellucid.latents.names import LatentTable, mark, read_latents, rename, write_latents
from pellucid.latents.typical import average_picture, read_typical
from pellucid.model.predictor import Model, load

Opened = Any
Open = Callable[..., Any]
RECONSTRUCTION, VIEW, GUIDE = "#reconstruction", "#view", "#guide"


@pytest.fixture(scope="session")
def model(people_run: Path) -> Model:
    return load(people_run, device="cpu")


@pytest.fixture
def table(people_run: Path, model: Model) -> LatentTable:
    return read_latents(people_run, model.latents)


def png(factors: torch.Tensor, size: int = 256) -> bytes:
    """A picture of one simulated person as a file."""
    file = io.BytesIO()
    Image.fromarray(to_pixels(render(factors, size))[0]).save(file, "PNG")
    return file.getvalue()


def person(**factors: float) -> torch.Tensor:
    found = neutral()
    for name, value in factors.items():
        found[0, NAMES.index(name)] = value
    return found


def put(page: Page, name: str, content: bytes, kind: str = "image/png") -> None:
    """Choose a file, as the button does."""
    page.set_input_files("#open", {"name": name, "mimeType": kind, "buffer": content})


def shown(here: Opened, model: Model, z: torch.Tensor) -> None:
    """The reconstruction on the page is what the library decodes, level by level."""
    here.page.wait_for_timeout(150)
    np.testing.assert_allclose(
        here.pixels(RECONSTRUCTION).astype(int), to_pixels(model.decode(z))[0].astype(int), atol=1
    )


def slide(page: Page, latent: int, value: float) -> None:
    page.locator(f'[data-latent="{latent}"] input[type=range]').evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def test_a_picture_that_is_opened_is_what_detect_sees(
    open_page: Open, model: Model, people_run: Path
) -> None:
    here = open_page()
    content = png(person(sunglasses=1.0, azimuth=20.0))
    put(here.page, "one.png", content)
    here.until("document.activeElement.id === 'view'")
    expected = model.to_tensor(Image.open(io.BytesIO(content)))
    shown(here, model, model.encode(expected).mean)
    verdict = load_detector(model, people_run).judge(expected)[0]
    assert here.page.locator("#verdict .word").inner_text().split()[-1].lower() == verdict.verdict
    reasons = here.page.locator("#verdict li")
    assert 1 <= reasons.count() <= 3
    assert all(re.match("(for|against) −?[0-9.]+ .{8,}", text) for text in reasons.all_inner_texts())


def test_a_scene_is_called_anomalous_and_a_person_normal(open_page: Open) -> None:
    here = open_page()
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "PNG")
    assert "Normal" in here.page.locator("#verdict .word").inner_text()
    put(here.page, "stripes.png", file.getvalue())
    here.until("document.querySelector('#verdict').className === 'anomalous'")
    assert "against" in here.page.locator("#verdict li").first.inner_text()


def test_every_active_slider_changes_the_picture_as_decoding_does(
    open_page: Open, model: Model, table: LatentTable
) -> None:
    here = open_page()
    put(here.page, "one.png", png(person()))
    here.until("document.activeElement.id === 'view'")
    here.page.wait_for_timeout(200)
    before = here.pixels(RECONSTRUCTION).astype(int)
    code = model.encode(Image.open(io.BytesIO(png(person())))).mean
    assert len(table.active()) >= 3
    for latent in table.active():
        slide(here.page, latent, 2.5)
        moved = code.clone()
        moved[0, latent] = 2.5
        shown(here, model, moved)
        assert np.abs(here.pixels(RECONSTRUCTION).astype(int) - before).max() > 20, table.label(latent)
        assert here.value(latent) == 2.5
        here.page.locator(f'[data-latent="{latent}"]').get_by_role("button", name="Reset").click()
        shown(here, model, code)


def test_reset_all_lets_go_of_everything(open_page: Open, model: Model, table: LatentTable) -> None:
    here = open_page()
    first, second = table.active()[:2]
    values = here.value(first), here.value(second)
    slide(here.page, first, -2.0)
    slide(here.page, second, 2.0)
    here.until("document.querySelector('#held-note').textContent.startsWith('2 latents')")
    here.page.get_by_role("button", name="Reset all").click()
    assert here.page.locator("#held-note").is_hidden()
    assert (here.value(first), here.value(second)) == values


def test_a_sweep_moves_and_leaves_everything_as_it_was(open_page: Open, table: LatentTable) -> None:
    here = open_page(reduced_motion="no-preference")
    latent = table.active()[0]
    value, still = here.value(latent), here.pixels(RECONSTRUCTION)
    sweep = here.page.locator(f'[data-latent="{latent}"]').get_by_role("button", name="Sweep")
    sweep.click()
    here.page.wait_for_timeout(1000)
    assert sweep.get_attribute("aria-pressed") == "true"
    assert not np.array_equal(here.pixels(RECONSTRUCTION), still)
    here.page.keyboard.press("Escape")
    here.page.wait_for_timeout(300)
    assert here.value(latent) == value
    np.testing.assert_array_equal(here.pixels(RECONSTRUCTION), still)


def test_the_camera_is_live_until_it_is_captured(open_page: Open) -> None:
    here = open_page()
    assert here.page.locator("#capture").is_hidden()
    here.page.get_by_role("button", name="Start camera").click()
    here.until("/[0-9]+ frames a second/.test(document.querySelector('#pace').textContent)")
    live = []
    for _ in range(3):
        here.page.wait_for_timeout(400)
        live.append(here.pixels(RECONSTRUCTION))
    assert not np.array_equal(live[0], live[1]) or not np.array_equal(live[1], live[2])
    here.page.get_by_role("button", name="Capture").click()
    here.page.wait_for_timeout(300)
    frozen = here.pixels(RECONSTRUCTION), here.pixels(VIEW)
    here.page.wait_for_timeout(700)
    np.testing.assert_array_equal(here.pixels(RECONSTRUCTION), frozen[0])
    np.testing.assert_array_equal(here.pixels(VIEW), frozen[1])
    here.page.get_by_role("button", name="Go live").click()
    here.page.wait_for_timeout(800)
    assert not np.array_equal(here.pixels(RECONSTRUCTION), frozen[0])
    here.page.get_by_role("button", name="Stop camera").click()
    assert here.page.locator("#pace").is_hidden()


def test_a_held_latent_stays_while_the_camera_moves_the_others(open_page: Open, table: LatentTable) -> None:
    here = open_page()
    here.page.get_by_role("button", name="Start camera").click()
    here.until("/[0-9]+ frames a second/.test(document.querySelector('#pace').textContent)")
    turning, held = table.find("azimuth"), table.find("sunglasses")
    slide(here.page, held, 2.0)
    values = []
    for _ in range(5):
        here.page.wait_for_timeout(300)
        values.append(here.value(turning))
        assert here.value(held) == 2.0
    assert max(values) - min(values) > 0.3
    here.page.get_by_role("button", name="Stop camera").click()


def test_sunglasses_in_front_of_the_camera_are_seen(open_page: Open, table: LatentTable) -> None:
    here = open_page()
    here.page.get_by_role("button", name="Start camera").click()
    here.until("/[0-9]+ frames a second/.test(document.querySelector('#pace').textContent)")
    latent, values = table.find("sunglasses"), []
    for _ in range(20):  # the film wears them for half of its three seconds
        here.page.wait_for_timeout(200)
        values.append(here.value(latent))
    assert max(values) - min(values) > 1.0
    here.page.get_by_role("button", name="Stop camera").click()


def test_a_camera_that_is_refused_is_explained_and_pictures_go_on(open_page: Open) -> None:
    refuse = """navigator.mediaDevices.getUserMedia =
        () => Promise.reject(new DOMException("no", "NotAllowedError"));"""
    here = open_page(before=refuse)
    here.page.get_by_role("button", name="Start camera").click()
    assert "did not allow the camera" in here.page.locator("#notice").inner_text()
    put(here.page, "one.png", png(person()))
    here.until("document.querySelector('#notice').hidden")


def test_the_guide_is_drawn_from_the_average_picture(open_page: Open, model: Model) -> None:
    here = open_page()
    assert here.pixels(GUIDE).max() == 0
    here.page.select_option("#guides", "outline")
    lines = here.page.evaluate("fetch('/state').then((r) => r.json()).then((s) => s.overlay.lines)")
    side = here.page.evaluate("document.querySelector('#guide').width")
    x, y = (round(value * side) for value in lines[0][:2])
    area = here.pixels(GUIDE)[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
    assert area.max() > 200
    here.page.select_option("#guides", "average")
    average = to_pixels(average_picture(model, read_typical(model)))[0]
    ghost = here.page.evaluate(
        """() => { const c = document.querySelector('#guide');
                   return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]; }"""
    )
    assert ghost[3] == pytest.approx(0.45 * 255, abs=2)
    middle = average[
        len(average) // 2 - 1 : len(average) // 2 + 1, len(average) // 2 - 1 : len(average) // 2 + 1
    ]
    np.testing.assert_allclose(ghost[:3], middle.mean((0, 1)), atol=6)


def test_the_picture_is_moved_by_keys_mouse_and_buttons(open_page: Open) -> None:
    here = open_page()
    put(here.page, "one.png", png(person()))
    here.until("document.activeElement.id === 'view'")
    first = here.pixels(VIEW).astype(int)
    here.page.keyboard.press("ArrowRight")
    moved = here.pixels(VIEW).astype(int)
    shift = round(0.02 * first.shape[1])
    np.testing.assert_allclose(moved[40:-40, 40:-40], np.roll(first, shift, axis=1)[40:-40, 40:-40], atol=40)
    assert np.abs(moved - first).max() > 40
    here.page.keyboard.press("m")
    assert here.page.get_by_role("button", name="Mirror").get_attribute("aria-pressed") == "true"
    np.testing.assert_allclose(here.pixels(VIEW).astype(int), moved[:, ::-1], atol=60)
    here.page.keyboard.press("0")
    np.testing.assert_array_equal(here.pixels(VIEW), first)
    here.page.hover(VIEW)
    here.page.mouse.wheel(0, -300)
    assert np.abs(here.pixels(VIEW).astype(int) - first).max() > 40
    here.page.get_by_role("button", name="Align as at first").click()
    box = here.page.locator(VIEW).bounding_box()
    here.page.mouse.move(box["x"] + 100, box["y"] + 100)
    here.page.mouse.down()
    here.page.mouse.move(box["x"] + 100 + box["width"] / 4, box["y"] + 100)
    here.page.mouse.up()
    quarter = first.shape[1] // 4
    dragged = here.pixels(VIEW).astype(int)
    assert dragged[:, : quarter - 4].max() == 0  # nothing lies left of the picture
    np.testing.assert_allclose(
        dragged[40:-40, quarter + 40 : -40], first[40:-40, 40 : -quarter - 40], atol=40
    )


def test_a_name_is_kept_over_a_restart_and_shown_everywhere(
    open_page: Open, people_run: Path, model: Model, table: LatentTable
) -> None:
    here = open_page()
    latent = table.find("azimuth")
    row = here.page.locator(f'[data-latent="{latent}"]')
    try:
        row.locator("button.name").click()
        row.locator("input.name").fill("<b>turned</b>")
        here.page.keyboard.press("Enter")
        row.locator("button.name", has_text="<b>turned</b>").wait_for()
        row.get_by_role("button", name="is a nuisance").click()
        row.get_by_role("button", name="Mark").wait_for()
        now = read_latents(people_run, model.latents)
        assert now.records[latent].name == "<b>turned</b>"
        assert not now.records[latent].nuisance
        here.server.stop()
        here.until("document.querySelector('#link').dataset.state === 'lost'")
        assert "Start it again" in here.page.locator("#link").inner_text()
        here.server.start()
        again = here.page.context.new_page()
        again.goto(here.server.address)
        again.wait_for_url(f"http://127.0.0.1:{here.server.port}/")
        renamed = again.locator(f'[data-latent="{latent}"] button.name')
        renamed.wait_for()
        assert renamed.inner_text().startswith("<b>turned</b>")
        here.until("document.querySelector('#link').dataset.state === 'open'")
        slide(here.page, latent, 1.0)  # the page that was open all the time goes on by itself
        here.until("document.querySelector('#held-note').hidden === false")
        here.errors.clear()  # the browser's own words about a server that was not there
    finally:
        write_latents(people_run, mark(rename(table, latent, "azimuth"), latent, nuisance=True))


DEAD: dict[str, Callable[[Any, int], None]] = {
    "a slider": lambda page, latent: slide(page, latent, 1.5),
    "reset all": lambda page, latent: page.get_by_role("button", name="Reset all").click(),
    "sweep": lambda page, latent: (
        page.locator(f'[data-latent="{latent}"]').get_by_role("button", name="Sweep").click()
    ),
    "a sample": lambda page, latent: page.locator("#shelf button").nth(2).click(),
    "aligning": lambda page, latent: page.get_by_role("button", name="Zoom in").click(),
    "a file": lambda page, latent: put(page, "one.png", png(person())),
    "a mark": lambda page, latent: (
        page.locator(f'[data-latent="{latent}"]').get_by_role("button", name="nuisance").click()
    ),
    "the camera": lambda page, latent: page.get_by_role("button", name="Start camera").click(),
}


def test_every_control_says_that_the_server_is_dead_and_is_obeyed_when_it_is_back(
    open_page: Open, model: Model, table: LatentTable
) -> None:
    here = open_page(failing=True)
    latent = table.active()[0]
    slide(here.page, latent, -1.0)  # so that there is something to reset
    here.page.wait_for_timeout(300)
    here.server.stop()
    try:
        here.until("document.querySelector('#link').dataset.state === 'lost'")
        assert here.page.evaluate("document.body.classList.contains('stale')")
        for name, use in DEAD.items():
            here.page.evaluate("document.querySelector('#notice').hidden = true")
            use(here.page, latent)
            here.page.locator("#notice").wait_for(timeout=5000)
            words = here.page.locator("#notice").inner_text()
            assert re.search("server|could not be sent", words), f"{name}: {words}"
        here.page.get_by_role("button", name="Stop camera").click()
        here.page.keyboard.press("Escape")  # ends the sweep
        here.page.locator("#shelf button").nth(4).click()
        slide(here.page, latent, 2.0)
    finally:
        here.server.start()
    again = here.page.context.new_page()  # which brings the new token
    again.goto(here.server.address)
    here.until("document.querySelector('#link').dataset.state === 'open'")
    here.until("document.querySelector('#notice').hidden")
    here.page.wait_for_timeout(500)
    typical = read_typical(model)
    assert typical is not None
    code = model.encode(to_float(typical.pixels[4:5])).mean
    code[0, latent] = 2.0
    shown(here, model, code)


def test_a_server_that_hangs_is_said_to_be_silent(open_page: Open, table: LatentTable) -> None:
    here = open_page()
    process = here.server.process
    process.send_signal(signal.SIGSTOP)
    try:
        slide(here.page, table.active()[0], 1.0)
        here.until("document.querySelector('#link').dataset.state === 'silent'")
        slide(here.page, table.active()[0], 1.2)
        assert "does not answer" in here.page.locator("#notice").inner_text()
    finally:
        process.send_signal(signal.SIGCONT)
    here.until("document.querySelector('#link').dataset.state === 'open'")
    here.until("document.querySelector('#notice').hidden")


def test_a_live_camera_is_not_read_out(open_page: Open) -> None:
    """A screen reader is told of every change in a live region: once a verdict, not seventy values in 4 s."""
    here = open_page()
    here.page.get_by_role("button", name="Start camera").click()
    here.until("/[0-9]+ frames a second/.test(document.querySelector('#pace').textContent)")
    here.page.evaluate(
        """() => {
            globalThis.told = 0;
            const live = "output, [role=status], [role=alert], [role=log], [aria-live]:not([aria-live=off])";
            const heard = new MutationObserver((changes) => {
                for (const { target } of changes) {
                    const near = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
                    if (near?.closest(live)) globalThis.told += 1;
                }
            });
            heard.observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    before = here.pixels(RECONSTRUCTION)
    here.page.wait_for_timeout(4000)
    assert not np.array_equal(here.pixels(RECONSTRUCTION), before)
    assert here.page.evaluate("globalThis.told") <= 1
    here.page.get_by_role("button", name="Stop camera").click()


@pytest.mark.parametrize("crop", list(CROPS))
def test_the_page_crops_as_the_library_does(open_page: Open, crop: Crop) -> None:
    here, rule = open_page(), asdict(CROPS[crop])
    sizes = [(640, 480), (480, 640), (178, 218), (181, 218), (185, 218), (641, 480), (1, 7), (1280, 720)]
    for width, height in sizes:
        found = here.page.evaluate(
            "async ([rule, width, height]) => (await import('/crop.js')).cropped(rule, width, height)",
            [rule, width, height],
        )
        left, top, right, bottom = crop_box(width, height, crop)
        assert found == pytest.approx([left / width, top / height, right / width, bottom / height])


def test_a_camera_of_four_by_three_is_seen_as_the_same_picture_from_a_file(
    open_page: Open, model: Model
) -> None:
    """The page brings a frame to 128 pixels by the browser's filter, the server to the model's by its own."""
    here = open_page()
    frame = np.full((480, 640, 3), 120, np.uint8)
    frame[:, 80:560] = np.asarray(Image.open(io.BytesIO(png(person(azimuth=20.0), 256))).resize((480, 480)))
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    rule = asdict(CROPS[model.config.preprocessing.crop])
    grabbed = here.page.evaluate(
        """async ([bytes, rule]) => {
            const [{ cropped }, { Stage }] = [await import("/crop.js"), await import("/stage.js")];
            const drawable = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
            const { width, height } = drawable;
            const stage = new Stage(document.createElement("canvas"), { onMove() {}, onCapture() {} });
            stage.show({ drawable, width, height, box: cropped(rule, width, height) });
            return [...stage.grab(128)];
        }""",
        [list(file.getvalue()), rule],
    )
    square = np.array(grabbed, np.uint8).reshape(128, 128, 3)
    seen = to_pixels(model.to_tensor(square))[0].astype(int)
    expected = read_image(file.getvalue(), model.config.preprocessing).astype(int)
    assert np.abs(seen - expected).mean() < 1.5
    widened = read_image(file.getvalue(), replace(model.config.preprocessing, crop="whole")).astype(int)
    assert np.abs(seen - widened).mean() > 10


def test_a_refused_name_says_why(open_page: Open, table: LatentTable) -> None:
    here = open_page(failing=True)
    row = here.page.locator(f'[data-latent="{table.find("azimuth")}"]')
    row.locator("button.name").click()
    row.locator("input.name").fill("Sunglasses")
    here.page.keyboard.press("Enter")
    here.until("document.querySelector('#notice').hidden === false")
    assert "is called" in here.page.locator("#notice").inner_text()


def test_two_people_one_in_sunglasses_differ_in_sunglasses(open_page: Open, table: LatentTable) -> None:
    here = open_page()
    put(here.page, "a.png", png(person()))
    here.until("document.activeElement.id === 'view'")
    here.page.wait_for_timeout(200)
    here.page.get_by_role("button", name="Pin as A").click()
    put(here.page, "b.png", png(person(sunglasses=1.0)))
    here.until("document.querySelector('#difference') !== null")
    here.page.wait_for_timeout(500)
    here.page.get_by_role("button", name="Take as B").click()
    first = here.page.locator("#differences tbody tr").first
    first.wait_for()
    assert "sunglasses" in first.locator("th").inner_text()
    assert here.page.locator("#comparison-sentence").inner_text().startswith("Different in: sunglasses")
    tiles = here.page.locator("#comparison-pictures figure")
    assert tiles.count() == 5
    assert tiles.last.inner_text() == f"A with B's {table.label(table.find('sunglasses'))}"
    other = f"z{table.find('background color')}"
    here.page.locator(f'#differences tr[data-latent="{other}"] button').click()
    here.until(
        "document.querySelector('#comparison-pictures figure:last-child').textContent.includes('background')"
    )


def test_a_saved_state_comes_back_whole(open_page: Open, table: LatentTable, tmp_path: Path) -> None:
    here = open_page()
    put(here.page, "one.png", png(person(sunglasses=1.0, azimuth=-30.0)))
    here.until("document.activeElement.id === 'view'")
    here.page.wait_for_timeout(200)
    latent = table.active()[0]
    slide(here.page, latent, -1.5)
    here.page.wait_for_timeout(200)
    kept = here.pixels(RECONSTRUCTION)
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Save state").click()
    file = tmp_path / "state.json"
    download.value.save_as(file)
    content = json.loads(file.read_text())
    assert content["held"] == {f"z{latent}": -1.5}
    assert content["names"][f"z{latent}"] == table.label(latent)
    assert content["verdict"]["sentence"]
    again = open_page()
    again.page.set_input_files("#load-state", file)
    again.until("document.querySelector('#held-note').hidden === false")
    again.page.wait_for_timeout(300)
    np.testing.assert_array_equal(again.pixels(RECONSTRUCTION), kept)
    assert again.value(latent) == -1.5
    again.page.set_input_files("#load-state", {"name": "x.json", "mimeType": "", "buffer": b'{"format": 1}'})
    again.until("document.querySelector('#notice').hidden === false")
    assert "not saved by this page" in again.page.locator("#notice").inner_text()


def test_the_saved_picture_shows_the_three_panels(open_page: Open, tmp_path: Path) -> None:
    here = open_page()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Save picture").click()
    file = tmp_path / "panels.png"
    download.value.save_as(file)
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    assert pixels.shape[1] == 1600
    left, right = pixels[140:550, 60:460], pixels[140:550, 1140:1540]
    assert left.std() > 20  # the picture and its reconstruction lie where they should, and are alike
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("huge.jpg", b"\xff\xd8\xff" + bytes(20_000_000), "larger than 16 MB"),
        ("text.jpg", b"This is no picture at all.", "JPEG, PNG or WEBP"),
        ("bomb.png", b"", "megapixels"),
    ],
)
def test_what_is_no_picture_is_named_and_the_page_goes_on(
    open_page: Open, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    if not content:
        file = io.BytesIO()
        Image.new("1", (30_000, 30_000)).save(file, "PNG")
        content = file.getvalue()
    here = open_page(failing=True)
    (tmp_path / name).write_bytes(content)
    here.page.set_input_files("#open", tmp_path / name)
    here.until("document.querySelector('#notice').hidden === false")
    assert words in here.page.locator("#notice").inner_text()
    put(here.page, "one.png", png(person()))
    here.until("document.querySelector('#notice').hidden")


def test_everything_can_be_done_from_the_keyboard(open_page: Open, table: LatentTable) -> None:
    here = open_page()
    latent = table.active()[0]

    def reach(selector: str) -> None:
        for _ in range(200):
            if here.page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
            here.page.keyboard.press("Tab")
        pytest.fail(f"{selector} was not reached by Tab")

    reach("#camera")
    here.page.keyboard.press("Enter")
    here.page.locator("#capture").wait_for()
    reach("#view")
    here.page.keyboard.press("Space")  # captures
    here.until("document.querySelector('#capture').textContent === 'Go live'")
    reach("#guides")
    here.page.keyboard.press("ArrowDown")
    reach("#shelf button:nth-child(2)")
    here.page.keyboard.press("Enter")
    here.page.locator("#capture").wait_for(state="hidden")
    reach(f'[data-latent="{latent}"] input')
    here.page.wait_for_timeout(200)
    before = here.value(latent)
    for _ in range(10):
        here.page.keyboard.press("ArrowRight")
    assert here.value(latent) == pytest.approx(before + 0.1, abs=0.011)
    reach(f'[data-latent="{latent}"] .icons button')
    here.page.keyboard.press("Enter")
    assert here.value(latent) == pytest.approx(before, abs=0.011)
    reach("#ask-why")
    here.page.keyboard.press("Enter")
    here.until("document.querySelector('#why-figure').naturalWidth > 500")
    here.page.keyboard.press("Escape")
    assert here.page.locator("#why").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_no_serious_violation(open_page: Open, width: int, scheme: str) -> None:
    here = open_page(width=width, color_scheme=scheme)
    here.page.get_by_role("button", name="Pin as A").click()
    here.page.locator("#shelf button").nth(3).click()
    here.page.wait_for_timeout(300)
    here.page.get_by_role("button", name="Take as B").click()
    here.page.locator("#differences tbody tr").first.wait_for()
    found = Axe().run(here.page).response["violations"]
    serious = [
        (v["id"], [node["target"] for node in v["nodes"]][:4])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_on_a_phone_both_pictures_stay_in_sight(open_page: Open, table: LatentTable) -> None:
    here = open_page(width=390, height=844, has_touch=True)
    assert here.page.evaluate("document.documentElement.scrollWidth") <= 390
    last = here.page.locator(f'[data-latent="{table.active()[-1]}"] input')
    here.page.evaluate("window.scrollTo(0, document.querySelector('#losses').offsetTop - 500)")
    last.scroll_into_view_if_needed()
    for selector in (VIEW, RECONSTRUCTION):
        box = here.page.locator(selector).bounding_box()
        assert box["y"] >= -1
        assert box["y"] + box["height"] < 300
    assert last.is_visible()


def test_the_difference_is_black_where_nothing_differs(open_page: Open, model: Model) -> None:
    here = open_page()
    content = png(person(sunglasses=1.0))
    put(here.page, "one.png", content)
    here.until("document.activeElement.id === 'view'")
    here.page.locator("#show-difference").check()
    here.page.wait_for_timeout(200)
    image = model.to_tensor(Image.open(io.BytesIO(content)))
    off = (
        (to_float(to_pixels(image)) - to_float(to_pixels(model.reconstruct(image)))).abs().mean(1)[0].numpy()
    )
    drawn = here.pixels("#difference").astype(int).sum(2)
    assert np.corrcoef(off.ravel(), drawn.ravel())[0, 1] > 0.9
    assert drawn[off < 0.002].max(initial=0) < 12
