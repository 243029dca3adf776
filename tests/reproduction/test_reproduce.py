import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.errors import ConfigError
from pellucid.model.predictor import load
from pellucid.reproduction import reproduce as module
from pellucid.reproduction.catalogue import CATALOGUE, Entry, parts_named
from pellucid.reproduction.claims import part_of_the_latents
from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part
from pellucid.reproduction.reproduce import PAGE, RESULTS, reproduce
from pellucid.reproduction.settings import Settings
from pellucid.reproduction.watching import Watch
from pellucid.training.loop import Progress

TINY = Settings(
    minutes=None,
    steps=1,
    images=24,
    few=12,
    splits=3,
    persons=4,
    measured=60,
    sprites=300,
    components=3,
    learned=40,
)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts that only say their name, and the names of those that were computed."""
    calls: list[str] = []

    def entry(name: str) -> Entry:
        def make(context: Context) -> Part:
            calls.append(name)
            if name == "losses" and calls.count("losses") == 1:
                raise KeyboardInterrupt
            claims = (part_of_the_latents(14, 32),) if name == "traversals" else ()
            exhibit = Exhibit(CATALOGUE[name].figures, name, "gist", (name,), claims=claims)
            return Part(name, (exhibit,), {"seed": context.settings.seed})

        return replace(CATALOGUE[name], make=make)

    monkeypatch.setattr(module, "CATALOGUE", {name: entry(name) for name in CATALOGUE})
    return calls


def test_what_is_finished_is_not_computed_again(tmp_path: Path, made: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        reproduce(tmp_path, TINY)
    before = list(made)
    assert before == [*list(CATALOGUE)[:7]]  # up to losses, which were interrupted
    done = reproduce(tmp_path, TINY)
    assert made[len(before) :] == list(CATALOGUE)[6:]
    assert not done.missing
    reproduce(tmp_path, TINY)
    assert len(made) == 11


def test_the_report_stands_after_every_part(tmp_path: Path, made: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        reproduce(tmp_path, TINY)
    assert json.loads((tmp_path / RESULTS).read_text())["missing"] == list(CATALOGUE)[6:]
    assert "Not computed yet: losses, many, sunglasses, traversals." in (tmp_path / PAGE).read_text()


def test_parts_may_be_asked_for_one_by_one(tmp_path: Path, made: list[str]) -> None:
    assert parts_named(["traversals", "live"]) == ("live", "traversals")
    done = reproduce(tmp_path, TINY, parts=["traversals", "live"])
    assert made == ["live", "traversals"]
    assert [claim.verdict for claim in done.claims] == ["held"]
    record = json.loads((tmp_path / RESULTS).read_text())
    assert record["claims"][0]["verdict"] == "held"
    assert record["parts"]["live"]["numbers"] == {"seed": 0}
    with pytest.raises(ConfigError, match="'figure 7'"):
        reproduce(tmp_path, TINY, parts=["figure 7"])


def test_other_settings_are_refused_before_anything_is_computed(tmp_path: Path, made: list[str]) -> None:
    reproduce(tmp_path, TINY, parts=["live"])
    with pytest.raises(ConfigError, match=r"--seed \(then 0, now 1\)"):
        reproduce(tmp_path, replace(TINY, seed=1))
    assert made == ["live"]


def test_a_part_that_was_damaged_is_computed_again(tmp_path: Path, made: list[str]) -> None:
    reproduce(tmp_path, TINY, parts=["live", "texture"])
    (tmp_path / "parts" / "live.json").write_text("{}")
    reproduce(tmp_path, TINY, parts=["live", "texture"])
    assert made == ["live", "texture", "live"]


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path) -> None:
    settings = replace(TINY, steps=60)

    @contextmanager
    def stopping() -> Iterator[Callable[[Progress], None]]:
        yield lambda progress: signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Context(tmp_path, settings, watch=Watch(training=stopping)).model("sprites-vae")
    steps = load(tmp_path / "runs" / "sprites-vae").config.training["steps_taken"]
    assert steps == 50  # progress is told of every 50
    said: list[str] = []
    context = Context(tmp_path, settings, watch=Watch(say=said.append))
    model, table = context.model("sprites-vae")
    assert model.config.training["steps_taken"] == 60
    assert said == ["Model 1 of 7: sprites-vae (VAE), 60 steps"]
    assert all(record.kl is not None for record in table.records)
    assert Context(tmp_path, settings).model("sprites-vae")[0].fingerprint == model.fingerprint


def verdicts(record: Mapping[str, object]) -> list[str]:
    claims = record["claims"]
    assert isinstance(claims, list)
    return [claim["verdict"] for claim in claims]


def test_the_whole_study_on_what_is_built_in(tmp_path: Path) -> None:
    said: list[str] = []
    done = reproduce(tmp_path, TINY, watch=Watch(say=said.append), device="cpu")
    assert not done.missing
    assert [line.split(":")[0] for line in said if line.startswith("Model")] == [
        f"Model {number} of 7" for number in range(1, 8)
    ]
    record = json.loads((tmp_path / RESULTS).read_text())
    assert len(verdicts(record)) == 10
    assert set(verdicts(record)) <= {"held", "did not hold", "cannot be said"}
    few = record["parts"]["detection"]["numbers"]["evaluations"][0]
    assert (few["normal"]["images"], few["anomalous"]["images"]) == (24, 12)
    many = record["parts"]["many"]["numbers"]["evaluations"]
    assert {"six losses", "losses + all latents", "PCA + texture"} <= {e["name"] for e in many}
    page = (tmp_path / PAGE).read_text()
    pictures = {name: len(part.exhibits[0].pictures) for name, part in done.parts.items()}
    assert page.count("<img") == sum(len(e.pictures) for part in done.parts.values() for e in part.exhibits)
    assert pictures["losses"] == 2
    assert len(done.parts["traversals"].exhibits) == 15
