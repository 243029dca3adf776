"""An option that would do nothing is refused, and says what it needs."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., int]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("detector RUN --skip 3", "--skip: does nothing without --normal"),
        ("detector RUN --limit 3", "--limit: does nothing without --normal"),
        ("detector RUN --anomalous-limit 3", "without --anomalous"),
        ("detector RUN --anomalous-groups name", "without --anomalous"),
        ("detector RUN --splits 3 --out x", "--splits and --out: does nothing without --anomalous"),
        ("latents RUN --limit 3", "without --data"),
        ("metrics RUN --skip 3", "without --data"),
        ("traverse RUN --out x.png --data scenes", "without exactly one --latent"),
        ("traverse RUN --out x.png --seeds 3 --latent z0 --latent z1", "without exactly one --latent"),
        ("same RUN folder --persons 100", "--persons: does nothing without DATA people"),
        ("detect RUN x.png --allow-unreadable", "without --fail-on-anomaly"),
        ("train sprites --out x --objective beta-vae --alpha 2", "alpha: does nothing for beta-vae"),
        ("train sprites --out x --objective factor-vae --beta 2", "beta: does nothing for factor-vae"),
        ("train sprites --out x --objective vae --capacity 9", "capacity: does nothing for vae"),
        ("train sprites --out x --objective beta-vae --estimator stratified", "estimator: does nothing"),
        ("train sprites --out x --diagonal 9", "diagonal: does nothing for beta-tcvae"),
        ("train sprites --out x --steps 3 --most-epochs 2", "most_epochs: ends a budget in minutes"),
    ],
)
def test_an_option_that_does_nothing_is_refused(
    run: Run,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert run(*(trained if word == "RUN" else word for word in command.split())) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
