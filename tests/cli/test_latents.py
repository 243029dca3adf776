import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_latents_as_json_says_what_is_active(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("latents", trained, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert 1 <= record["active"] <= 3
    doubt = "the model has been trained on only 2,400 images in 150 steps"
    assert record["cautions"][0] == doubt
    assert run("latents", trained) == 0
    assert f"Caution: {doubt}." in capsys.readouterr().out
    assert [entry["kl"] for entry in record["latents"]] == sorted(
        (e["kl"] for e in record["latents"]), reverse=True
    )


def test_copies_and_groups_count_once_in_what_a_latent_tracks(
    run: Callable[..., int], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tracked(*options: object) -> int:
        assert run("latents", trained, "--data", tmp_path, "--json", *options) == 0
        record = json.loads(capsys.readouterr().out)
        return max(track["images"] for latent in record["latents"] for track in latent["tracks"])

    rows = ["file_name,wide"]
    for image in range(40):
        edge = 5 + 3 * (image % 10)
        for crop in range(3):  # of each image two are equal pixel for pixel
            pixels = np.full((40, 40, 3), 30, np.uint8)
            pixels[0, :3] = 6 * image + min(crop, 1)
            pixels[:, edge:] = (200, 120, 60)
            Image.fromarray(pixels).resize((32, 32)).save(tmp_path / f"image{image}_{crop}.png")
            rows.append(f"image{image}_{crop}.png,{'yes' if edge < 20 else 'no'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert tracked() == 40  # 80 different images, half of which measure
    assert tracked("--groups", "name") == 20


def test_groups_without_attributes_would_do_nothing(
    run: Callable[..., int], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("latents", trained, "--groups", "folder") == 2
    assert "--groups needs images with attributes" in capsys.readouterr().err
    assert run("name", trained, "z1", "edge", "--groups", "folder") == 2
    assert "--groups: does nothing without --suggest" in capsys.readouterr().err
