import os
import shutil
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from pellucid.doctor import machine, places

Usage = namedtuple("Usage", "total used free")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's own tools")
def test_cores_and_memory_are_those_that_the_system_tells_others() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OMP")}
    counted = subprocess.check_output(["nproc"], text=True, env=plain).strip()
    assert machine.cores().value.split()[0] == counted
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    limit = Path("/sys/fs/cgroup/memory.max")
    if not limit.exists() or limit.read_text().strip() == "max":
        assert float(machine.memory().value.split()[0]) == pytest.approx(kilobytes / 2**20, rel=0.05)


def test_the_memory_is_that_of_the_container_where_it_has_a_limit(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    assert machine._memory_bytes(limit) == 2**20
    limit.write_text("max\n")
    assert (machine._memory_bytes(limit) or 0) > 2**20


def test_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_memory_bytes", lambda: 2**30)
    assert machine.memory().value == "1.0 GiB"
    assert machine.memory().state == "lacking"


def test_the_processor_is_named_as_its_maker_does(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Abacus 5: deluxe\n")
    assert machine._processor_name(info) == "Abacus 5: deluxe"


def test_a_compiler_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "my-compiler")
    assert machine.compiler().value.startswith("none")
    compiler = tmp_path / "my-compiler"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    assert machine.compiler().value == str(compiler)
    assert machine.compiler().state == "fine"


def test_a_camera_is_found_among_the_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.camera(tmp_path, "linux").state == "lacking"
    (tmp_path / "video0").touch()
    assert machine.camera(tmp_path, "linux").value == str(tmp_path / "video0")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "'video'" in machine.camera(tmp_path, "linux").advice
    assert machine.camera(tmp_path, "darwin").value == "the browser will ask"


def test_a_cache_that_is_to_come_is_tried_above_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "a" / "b"))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, 5 * 10**9))
    assert places.cache().value == f"{tmp_path / 'a' / 'b'}: 5.0 GB free"
    assert places.cache().state == "fine"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_below_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file" / "cache"))
    assert places.cache().state == "broken"
    assert "PELLUCID_CACHE" in places.cache().advice


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_a_folder_that_not_even_root_can_write_to_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc/self")
    here = places.runs()
    assert here.state == "broken"
    assert "cannot be written" in here.value
    assert "another folder" in here.advice


@pytest.mark.parametrize(("free", "state"), [(10**12, "fine"), (10**9, "lacking"), (10**6, "broken")])
def test_a_full_disk_is_broken_and_a_nearly_full_one_is_said(
    free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, free))
    assert places.runs().state == state
    assert bool(places.runs().advice) == (state != "fine")
