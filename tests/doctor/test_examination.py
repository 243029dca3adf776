import json

import torch

from pellucid.doctor import computing
from pellucid.doctor.examination import looked
from pellucid.doctor.finding import Finding
from pellucid.model.predictor import resolve_device


def test_a_check_that_fails_itself_is_one_line() -> None:
    def camera() -> Finding:
        raise ValueError("the driver is odd")

    assert looked(camera) == Finding(
        "machine", "camera", "could not be looked at (ValueError: the driver is odd)", "lacking"
    )


def test_what_torch_answers_is_what_training_will_decide(capsys) -> None:  # type: ignore[no-untyped-def]
    computing.answer()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    device = resolve_device("auto")
    assert facts["devices"][0].split(":")[0].split(" ")[0] == device.type
    rates = facts["rates"]
    assert facts["precision"] == (
        "bfloat16" if rates and rates["bfloat16"] > 1.05 * rates["float32"] else "float32"
    )
    assert facts["threads"] == torch.get_num_threads()
    assert [finding.state for finding in computing.findings(facts)] == ["fine"] * 3


def test_without_torch_there_is_no_answer_but_the_reason(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "torch.py").write_text("raise OSError('libtorch_cpu.so: cannot open shared object file')")
    assert computing.ask() == "OSError: libtorch_cpu.so: cannot open shared object file"
    (tmp_path / "torch.py").write_text("import os; os.abort()")
    assert computing.ask() == "it ends Python with signal 6"
    assert computing.findings("it ends Python with signal 6") == []
