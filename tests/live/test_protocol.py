"""Two pages on one server, in any order of what they ask: to each its own answers, to both the same names."""

import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from pellucid.data.images import read_image, to_float
from pellucid.errors import LatentError
from pellucid.latents.names import LatentTable, mark, read_latents, rename, write_latents
from pellucid.live.engine import Engine, rgb
from pellucid.live.wire import pack, unpack

LATENTS, REMEMBERED = 6, 16
PAGES = st.integers(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
CODES = st.lists(st.floats(-3, 3, width=32), min_size=LATENTS, max_size=LATENTS)
HELD = st.dictionaries(st.integers(0, LATENTS - 1).map(str), st.floats(-3, 3, width=32), max_size=3)
NAMES = st.one_of(
    st.sampled_from(["hat", "Hat", "light", "z3", " ", "<b>pose</b>"]), st.text("abc ", max_size=6)
)
SENSELESS = st.sampled_from(
    [
        {},
        {"kind": "picture", "id": 10**9},
        {"kind": "picture", "id": "0"},
        {"kind": "frame", "side": 32},
        {"kind": "move", "z": [0.0]},
        {"kind": "picture", "id": 0, "held": {"99": 0}},
        {"kind": "rename"},
    ]
)


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def in_json(content: Any) -> Any:
    return json.loads(json.dumps(content))


class Page:
    """One page: its line, the number of its last message, and the image that the server has in mind."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.open()

    def open(self) -> None:
        dialed = connect(
            f"ws://{self.live.host}/stream",
            origin=self.live.own["Origin"],
            additional_headers={"Cookie": self.live.own["Cookie"]},
            compression=None,
            ping_interval=None,
        )
        self.end = ExitStack()
        self.line: ClientConnection = self.end.enter_context(dialed)
        self.number, self.image = 0, None

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        self.number += 1
        self.line.send(pack({**head, "number": self.number}, body))

    def receive(self) -> tuple[dict[str, Any], bytes]:
        head, body = unpack(self.line.recv(timeout=60))  # type: ignore[arg-type]
        return head, bytes(body)


class Protocol(RuleBasedStateMachine):
    """What two pages may do, and what the library says that each must be answered."""

    live: Any
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.pages = [Page(self.live), Page(self.live)]
        self.table: LatentTable = read_latents(self.live.run, LATENTS)
        self.opened: list[tuple[int, Any]] = []

    def teardown(self) -> None:
        for page in self.pages:
            page.end.close()

    def looked(self, page: Page, image: Any, held: dict[str, float], *, judge: bool) -> None:
        """Receive what a look at an image must be answered with."""
        seen = self.engine.look(image, self.engine.held(held))
        head, body = page.receive()
        assert head == {
            "kind": "seen",
            "number": page.number,
            "mean": seen.mean.tolist(),
            "deviation": seen.deviation.tolist(),
        }
        assert body == rgb(image) + rgb(seen.reconstruction)
        page.image = image
        if judge:
            head, _ = page.receive()
            self.engine.latents()  # reasons are worded with the names of now
            assert head == in_json({"kind": "judged", "number": page.number, **self.engine.judge(seen)})

    @rule(who=PAGES, sample=st.integers(0, 4), held=HELD, judge=st.booleans())
    def look_at_a_sample(self, who: int, sample: int, held: dict[str, float], judge: bool) -> None:
        page = self.pages[who]
        page.send({"kind": "picture", "id": sample, "held": held, "judge": judge})
        self.looked(page, self.engine.picture(sample), held, judge=judge)

    @rule(who=PAGES, seed=SEEDS, side=st.sampled_from((11, 32, 128)), held=HELD, judge=st.booleans())
    def look_at_a_frame(self, who: int, seed: int, side: int, held: dict[str, float], judge: bool) -> None:
        page, frame = self.pages[who], noise(seed, side, side).tobytes()
        page.send({"kind": "frame", "side": side, "held": held, "judge": judge}, frame)
        self.looked(page, self.engine.frame(side, memoryview(frame)), held, judge=judge)

    @rule(samples=st.tuples(st.integers(0, 4), st.integers(0, 4)), held=st.tuples(HELD, HELD))
    def both_look_at_once(
        self, samples: tuple[int, int], held: tuple[dict[str, float], dict[str, float]]
    ) -> None:
        for page, sample, values in zip(self.pages, samples, held, strict=True):
            page.send({"kind": "picture", "id": sample, "held": values, "judge": True})
        for page, sample, values in zip(self.pages, samples, held, strict=True):
            self.looked(page, self.engine.picture(sample), values, judge=True)

    @rule(seed=SEEDS, width=st.integers(1, 90), height=st.integers(1, 90))
    def open_a_picture(self, seed: int, width: int, height: int) -> None:
        file = io.BytesIO()
        Image.fromarray(noise(seed, height, width)).save(file, "PNG")
        status, _, answer = self.live.ask("POST", "/pictures", file.getvalue())
        assert status == 200
        taken = json.loads(answer)
        assert not self.opened or taken["id"] > self.opened[-1][0]
        pixels = read_image(file.getvalue(), self.engine.model.config.preprocessing)
        self.opened.append((taken["id"], to_float(pixels[None])))

    @precondition(lambda self: self.opened)
    @rule(who=PAGES, at=st.integers(0, 1000))
    def look_at_an_opened_picture(self, who: int, at: int) -> None:
        page, back = self.pages[who], at % len(self.opened)
        number, image = self.opened[-1 - back]
        page.send({"kind": "picture", "id": number})
        if back < REMEMBERED:
            self.looked(page, image, {}, judge=False)
        else:
            assert page.receive()[0]["kind"] == "refused"

    @rule(who=PAGES, z=CODES)
    def move(self, who: int, z: list[float]) -> None:
        """Losses are those against the page's own picture, whatever the other one looks at."""
        page = self.pages[who]
        page.send({"kind": "move", "z": z, "judge": True})
        drawn = self.engine.move(z)
        head, body = page.receive()
        assert (head, body) == ({"kind": "moved", "number": page.number}, rgb(drawn))
        if page.image is not None:
            losses = self.engine.losses(page.image, drawn)
            assert page.receive()[0] == in_json({"kind": "judged", "number": page.number, "losses": losses})

    @rule(who=PAGES, head=SENSELESS)
    def say_something_senseless(self, who: int, head: dict[str, Any]) -> None:
        page = self.pages[who]
        page.send(head)
        answer, body = page.receive()
        assert (answer["kind"], answer["number"], body) == ("refused", page.number, b"")

    @rule(who=PAGES, count=st.integers(2, 12))
    def ask_faster_than_it_is_answered(self, who: int, count: int) -> None:
        page = self.pages[who]
        first = page.number
        for sample in range(count):
            page.send({"kind": "picture", "id": sample % 5})
        answered = [first]
        while answered[-1] != page.number:
            answered.append(page.receive()[0]["number"])
        assert answered == sorted(set(answered))
        page.image = self.engine.picture((count - 1) % 5)

    @rule(who=PAGES)
    def reload(self, who: int) -> None:
        self.pages[who].end.close()
        self.pages[who].open()

    def changed(self, wish: dict[str, Any], change: Callable[[LatentTable], LatentTable]) -> None:
        status, _, answer = self.live.ask("POST", "/latents", json.dumps(wish).encode())
        expected: tuple[int, str | None] = 200, None
        try:
            self.table = change(self.table)
        except LatentError as error:
            expected = 400, str(error)
        assert (status, json.loads(answer).get("error")) == expected

    @rule(latent=st.integers(0, LATENTS), name=st.one_of(st.none(), NAMES))
    def name_a_latent(self, latent: int, name: str | None) -> None:
        self.changed({"latent": latent, "name": name}, lambda table: rename(table, latent, name))

    @rule(latent=st.integers(0, LATENTS), nuisance=st.booleans())
    def mark_a_latent(self, latent: int, nuisance: bool) -> None:
        self.changed(
            {"latent": latent, "nuisance": nuisance}, lambda table: mark(table, latent, nuisance=nuisance)
        )

    @rule(samples=st.tuples(st.integers(0, 4), st.integers(0, 4)))
    def compare(self, samples: tuple[int, int]) -> None:
        a, b = (rgb(self.engine.picture(sample)) for sample in samples)
        status, _, answer = self.live.ask("POST", "/compare", pack({"swap": None}, a, b))
        self.engine.latents()
        record, pictures = self.engine.compare(memoryview(a), memoryview(b), None)
        assert status == 200
        head, body = unpack(answer)
        assert (head, bytes(body)) == (in_json(record), b"".join(pictures))

    @invariant()
    def names_are_what_both_were_told(self) -> None:
        told = [(latent["name"], latent["nuisance"]) for latent in self.live.state()["latents"]]
        assert told == [(record.name, record.nuisance) for record in self.table.records]
        assert read_latents(self.live.run, LATENTS) == self.table


@pytest.mark.torture(12, 500)
def test_two_pages_never_get_each_others_answers(live: Any, engine: Engine, rounds: int) -> None:
    before = read_latents(live.run, LATENTS)
    machine = type("TwoPages", (Protocol,), {"live": live, "engine": engine})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=rounds,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        write_latents(live.run, before)
