from pathlib import Path


def test_training_lists_what_it_could_not_read(trained: Path) -> None:
    lines = (trained / "skipped.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"{i:03d}.png" for i in (7, 27, 47, 67, 87, 107)]
    assert all(line.split("\t")[1] for line in lines)


def test_a_run_holds_what_the_design_says(trained: Path) -> None:
    expected = {
        "config.json",
        "model.safetensors",
        "latents.json",
        "README.md",
        "metrics.jsonl",
        "training",
        "report.html",
    }
    assert expected <= {path.name for path in trained.iterdir()}
    card = (trained / "README.md").read_text()
    assert "114 photographs from" in card
    assert "6 unreadable left out" in card
