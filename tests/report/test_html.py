"""report.html: complete in itself, well formed, nobody's name can inject anything."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing
from pellucid.latents.cards import Card
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.latents.tracking import Tracking
from pellucid.latents.traverse import Traversal
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE
from pellucid.report.html import render_report, write_report
from pellucid.report.wording import command, story

BAD = "<script>alert(1)</script>"
SIZE, LATENTS = 32, 4
VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


def model(**training: object) -> Model:
    torch.manual_seed(0)
    architecture = Architecture("burgess", SIZE, 1, LATENTS)
    data = {
        "description": f"12 {BAD}",
        "source": "/home/somebody/faces",
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    objective = {"name": "beta-tcvae", "beta": 4.0, "losses": {"mse": 1.0}}
    settings = {"objective": objective, "steps_taken": 80, "batch_size": 4, "images_seen": 320, **training}
    config = ModelConfig(
        architecture, Preprocessing(SIZE, 1, "whole"), {**data, "fingerprint": "f" * 64}, settings
    )
    return Model(VAE(architecture), config, fingerprint="c" * 64)


def dataset(held_out: bool = True) -> Dataset:
    split = np.zeros(12, np.uint8)
    split[8:] = 2 if held_out else 0
    return Dataset(
        description="12 images",
        kind="folder",
        names=[f'"{BAD}{i}.png' for i in range(12)],
        split=split,
        preprocessing=Preprocessing(SIZE, 1, "whole"),
        attributes=None,
        fingerprint="f" * 64,
        skipped=(),
        fetch=lambda rows: np.zeros((len(rows), SIZE, SIZE, 1), np.uint8),
        origin={"source": "x", "skip": 0, "limit": None},
    )


def table() -> LatentTable:
    kls = (0.5, 2.0, 0.01, 1.0)
    names = (BAD, None, None, "smile")
    return LatentTable(
        tuple(
            LatentRecord(
                i,
                names[i],
                i == 0,
                f"because {BAD}" if i == 0 else None,
                kls[i],
                0.5,
                kls[i] > 0.1,
                -2.0,
                2.0,
            )
            for i in range(LATENTS)
        )
    )


@pytest.mark.parametrize(("seen", "warns"), [(320, True), (50_000, False)])
def test_a_model_that_was_hardly_trained_says_so_before_anything_else(seen: int, warns: bool) -> None:
    page = render_report("a run", model(images_seen=seen), table(), cards(), dataset(), METRICS)
    head = page[: page.index('href="#limits"')]
    assert ("Caution: the model has been trained on only 320 images in 80 steps." in head) == warns


def cards() -> list[Card]:
    named, images = table(), torch.full((2, 3, 1, SIZE, SIZE), 0.5)
    tracks = (Tracking(0, f"hat_{BAD}", "AUC", 0.75, 1, 100, 40, 0.7, 0.8, 0.5, 0.001),)
    strip = Traversal(images, ("average", BAD), torch.linspace(-3, 3, 3), None, BAD)
    response, counts, edges = np.ones((SIZE, SIZE), np.float32), np.array([6, 6]), np.array([-1.0, 0.0, 1.0])
    return [
        Card(
            latent=i,
            label=named.label(i),
            name=named.records[i].name,
            suggested=named.records[i].suggested,
            evidence=named.records[i].evidence,
            kl=named.records[i].kl,
            variance=0.5,
            low=-2.0,
            high=2.0,
            strip=strip,
            response=response,
            counts=counts,
            edges=edges,
            tracks=tracks,
        )
        for i in (0, 1, 3)
    ]


METRICS = [{"step": s, "reconstruction": 9.0 - s, "kl": 1.0 + s} for s in range(5)] + [
    {"step": 4, "validation_negative_objective": -12.0}
]


class Page(HTMLParser):
    """Collects tags and attributes, and fails on unbalanced ones."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(f"run {BAD}", model(), table(), cards(), dataset(), METRICS)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_is_well_formed_and_has_landmarks(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("html", "head", "body", "header", "main", "nav", "footer", "h1")] == [
        1
    ] * 8
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [(link["href"] or "").removeprefix("#") for link in page.all("a")]
    assert set(targets) <= set(ids)
    assert tags.count("caption") == tags.count("table")
    assert all(image.get("alt") is not None for image in page.all("img"))


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "style"  # the policy would refuse it
            if name in {"src", "srcset", "href", "xlink:href", "action", "poster"}:
                assert (value or "").startswith(("data:image/", "#"))
    assert not re.search(r"url\(|@import|https?:", "".join(page.text))


def test_the_policy_allows_this_style_and_embedded_pictures_only(html: str, page: Page) -> None:
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy["content"]
    assert "default-src 'none'; img-src data:" in policy["content"]


def test_names_attributes_and_descriptions_cannot_inject(html: str, page: Page) -> None:
    assert "<script" not in html
    said = "".join(page.text)
    assert f"z0 {BAD}" in said  # the latent's name
    assert f"hat {BAD}" in said  # an attribute's
    assert f"because {BAD}" in said  # the evidence
    assert f"12 {BAD}" in said  # the data's description
    assert f"run {BAD}" in said
    assert any(f'Original "{BAD}' in (image["alt"] or "") for image in page.all("img"))


def test_every_active_latent_has_one_card_the_most_important_first(page: Page) -> None:
    assert [article["id"] for article in page.all("article")] == ["z1", "z3", "z0"]
    assert [link["href"] for link in page.all("a") if re.fullmatch(r"#z\d+", link["href"] or "")] == [
        "#z1",
        "#z3",
        "#z0",
    ]
    assert "z2 (0.01)" in re.sub(r"\s+", " ", "".join(page.text))


def test_a_suggested_name_is_marked_and_a_person_s_is_not(html: str) -> None:
    heads = dict(re.findall(r'<h3 id="(z\d)-name">(.*?)</h3>', html, re.DOTALL))
    assert "suggested" in heads["z0"]
    assert "suggested" not in heads["z3"]
    assert "suggested" not in heads["z1"]


def test_disk_layout_stays_private(html: str) -> None:
    assert "somebody" not in html
    assert "pellucid train faces" in html


def test_the_recorded_command_is_shown_where_there_is_one() -> None:
    page = render_report("run", model(command="pellucid train photos --out run"), table(), [], dataset(), [])
    assert "pellucid train photos --out run" in page


def test_the_command_repeats_the_settings() -> None:
    trained = model(batch_size=64, learning_rate=0.001, flip=False, seed=3, steps=None, minutes=20.0)
    assert command(trained.config, "my run") == (
        "pellucid train faces --size 32 --channels 1 --crop whole --preset burgess --latents 4 "
        "--objective beta-tcvae --beta 4 --loss mse=1 --minutes 20 --batch-size 64 --learning-rate 0.001 "
        "--no-flip --seed 3 --out 'my run'"
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [(6, "shown 6 of 8 images"), (8, "8 images, each about once"), (80, "8 images, each about 10 times")],
)
def test_the_story_counts_what_was_shown(seen: int, words: str) -> None:
    assert words in story(model(images_seen=seen), dataset(), 3)
    assert "None of the numbers" in story(model(images_seen=seen), dataset(), 0)


def test_without_held_out_images_curves_or_cards_the_page_says_so() -> None:
    nothing = LatentTable(tuple(LatentRecord(i) for i in range(LATENTS)))
    page = render_report("run", model(), nothing, [], dataset(held_out=False), [])
    Page(page)
    assert "No images were held out" in page
    assert 'id="curves"' not in page
    assert "not measured" in page
    assert "No latent is active" in page


def test_the_file_is_written_into_the_run_and_is_small(tmp_path: Path) -> None:
    path = write_report(tmp_path / "run", model(), table(), cards(), dataset(), METRICS)
    assert path == tmp_path / "run" / "report.html"
    assert path.stat().st_size < 500_000
