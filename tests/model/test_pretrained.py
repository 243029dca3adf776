"""A model that comes with the package: found by its name, read, and never written to."""

import shutil
from pathlib import Path

import pytest

import pellucid
from pellucid.errors import ConfigError, RunError
from pellucid.latents.names import change_latents, rename
from pellucid.model.directory import CONFIG
from pellucid.model.pretrained import copy_pretrained, find_run
from pellucid.storage.writing import locked, locked_folder, replacing


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What lies in a folder, and when each folder has last got or lost a file: of a lock, both are seen."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def test_a_model_is_loaded_by_its_name(installed: Path) -> None:
    model, same = pellucid.pretrained("people", device="cpu"), pellucid.load(installed, device="cpu")
    assert model.directory == installed
    assert model.fingerprint == same.fingerprint
    assert pellucid.run_fingerprint(model) == pellucid.run_fingerprint(same)


def test_a_copy_is_the_same_model_and_one_that_was_changed_is_left_alone(
    installed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "mine"
    copy_pretrained("people", run)
    assert {f.name: f.read_bytes() for f in run.iterdir()} == {
        f.name: f.read_bytes() for f in installed.iterdir()
    }
    change_latents(run, 4, lambda table: rename(table, 0, "hat"))
    copy_pretrained("people", run)
    assert pellucid.read_latents(run, 4).records[0].name == "hat"
    (run / CONFIG).unlink()  # as after an interruption
    copy_pretrained("people", run)
    assert (
        pellucid.load(run, device="cpu").fingerprint
        == pellucid.pretrained("people", device="cpu").fingerprint
    )


def test_a_wrong_name_lists_those_that_there_are(installed: Path) -> None:
    with pytest.raises(ConfigError, match=r"comes with Pellucid \(people\), got 'person'"):
        pellucid.pretrained("person")
    with pytest.raises(RunError, match="Or take one that comes with Pellucid: people"):
        pellucid.load("person")


def test_a_run_in_the_current_directory_comes_before_that_of_the_package(installed: Path) -> None:
    assert find_run("people") == installed
    Path("people").mkdir()  # images, or whatever
    assert find_run("people") == installed
    shutil.copytree(installed, "people", dirs_exist_ok=True)
    assert find_run("people") == Path("people")
    assert find_run("./people") == Path("people")
    assert find_run("persons") == Path("persons")


def test_no_writer_touches_it_by_whatever_path(installed: Path, tmp_path: Path) -> None:
    before, link = state(installed), tmp_path / "link"
    link.symlink_to(installed)
    for folder in (installed, link, Path("..") / "site-packages" / "pellucid" / "pretrained" / "people"):
        for write in (
            lambda folder: replacing(folder / "x"),
            lambda folder: locked(folder / "x"),
            lambda folder: locked_folder(folder / "onnx"),
            locked_folder,
        ):
            with pytest.raises(ConfigError, match=r"never changed\. Change a copy: cp -r"), write(folder):
                pass
        with pytest.raises(ConfigError, match="Change a copy"):
            change_latents(folder, 6, lambda table: rename(table, 0, "x"))
    assert state(installed) == before
