import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pellucid.reproduction.catalogue import CATALOGUE
from pellucid.reproduction.claims import Interval, disentangled, near_perfect, part_of_the_latents
from pellucid.reproduction.exhibit import Exhibit, Part, Picture, Table
from pellucid.reproduction.page import render_page
from pellucid.reproduction.settings import Settings

HOSTILE = "<script>alert('x')</script> & \"z1\" $x$"
SHORT_OF = disentangled(Interval(0.4, 0.39, 0.41), Interval(0.1, 0.09, 0.11))


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def everything() -> dict[str, Part]:
    """All parts, with an exhibit for each of the paper's figures."""
    parts = {}
    for name, entry in CATALOGUE.items():
        exhibits = tuple(
            Exhibit((figure,), f"title {figure}", "gist", ("shown",)) for figure in entry.figures
        )
        parts[name] = Part(name, exhibits or (Exhibit((), entry.title, "gist", ("shown",)),), {})
    return parts


class Seen(HTMLParser):
    """The tags with their attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_figure_stands_once_and_in_order_whether_computed_or_not() -> None:
    parts = everything()
    for present in (parts, {"live": parts["live"]}, {}):
        page = render_page(Settings(), present)
        assert re.findall(r'id="fig-(\d+)"', page) == [str(number) for number in range(1, 30)]


def test_names_and_texts_cannot_become_markup() -> None:
    exhibit = Exhibit(
        (1,),
        HOSTILE,
        HOSTILE,
        (HOSTILE,),
        (Picture("picture", HOSTILE, png()),),
        (Table(HOSTILE, (HOSTILE,), ((HOSTILE,),)),),
        (part_of_the_latents(14, 32),),
    )
    page = render_page(Settings(), {"autoencoder": Part("autoencoder", (exhibit,), {})})
    seen = Seen(page)
    assert "script" not in {tag for tag, _ in seen.tags}
    assert seen.text.count(HOSTILE) == 7  # heading, contents, gist, text, caption, head, cell
    assert any(attributes.get("alt") == HOSTILE for _, attributes in seen.tags)


def test_a_claim_that_did_not_hold_is_said_so_with_its_numbers_and_rule() -> None:
    parts = everything()
    parts["sprites"] = Part("sprites", (Exhibit((2, 3), "Sprites", "gist", (), claims=(SHORT_OF,)),), {})
    text = Seen(render_page(Settings(), parts)).text
    assert text.count("did not hold") == 3  # the count at the top, the table of claims, the claim itself
    assert SHORT_OF.finding in text
    assert SHORT_OF.rule in text


def test_the_counts_at_the_top_are_of_the_papers_own_claims() -> None:
    parts = everything()
    held = part_of_the_latents(14, 32)
    claims = (held, SHORT_OF, near_perfect(np.full((2, 3), 0.98), (10, 10)))
    parts["live"] = Part("live", (Exhibit((4,), "t", "p", (), claims=claims),), {})
    counts = re.findall(r"claims of the paper: ([a-z ]+)</dt><dd>(\d)", render_page(Settings(), parts))
    assert counts == [("held", "1"), ("did not hold", "2"), ("cannot be said", "0")]


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    parts = everything()
    exhibit = Exhibit((1,), "t", "p", (), (Picture("a", "alt", png(), png()),))
    parts["autoencoder"] = Part("autoencoder", (exhibit,), {})
    seen = Seen(render_page(Settings(), parts))
    wanted = [value for _, a in seen.tags for key in ("src", "srcset") if (value := a.get(key))]
    assert len(wanted) == 2
    assert all(value.startswith("data:image/png;base64,") for value in wanted)
    links = [a["href"] or "" for tag, a in seen.tags if tag == "a" and "href" in a]
    places = {a["id"] for _, a in seen.tags if "id" in a}
    assert links
    assert all(link.startswith("#") and link[1:] in places for link in links)
    assert "default-src 'none'" in str(seen.tags)


@pytest.mark.parametrize(("data", "said"), [(None, True), ("/photographs", False)])
def test_stand_ins_are_called_so_at_the_top(data: str | None, said: bool) -> None:
    text = Seen(render_page(Settings(data=data), everything())).text
    assert ("Simulated people stand in for faces" in text) == said


def test_what_is_missing_and_how_to_get_it_is_said() -> None:
    parts = everything()
    del parts["losses"]
    page = render_page(Settings(), parts)
    assert "Not computed yet: losses." in page
    assert "--parts losses" in page
    assert "Not computed yet" not in render_page(Settings(), everything())


def test_little_training_is_said_at_the_top() -> None:
    assert "Short training" in render_page(Settings(minutes=6), everything())
    assert "Short training" not in render_page(Settings(), everything())


def test_every_model_has_its_row_with_the_images_that_it_has_seen() -> None:
    rows = re.findall(
        r"<tr><td><code>([a-z0-9-]+)</code>.*?<td>([^<]+)</td></tr>",
        render_page(Settings(), {}, {"people": 12345}),
    )
    assert dict(rows)["people"] == "12,345"
    assert dict(rows)["sprites-vae"] == "not yet"
