import shutil
import subprocess
from collections.abc import Callable
from typing import get_args, get_type_hints

import pytest

from pellucid.cli import app
from pellucid.cli.completion import completion

COMMANDS = [name for name in app if not name.startswith("-")]
OF_LAST_WORD = """
eval "$1"
COMP_WORDS=(pellucid "${@:2}"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
_pellucid; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("shell", get_args(get_type_hints(completion)["shell"]))
def test_the_script_of_every_shell_names_every_command(
    shell: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("completion", shell) == 0
    script = capsys.readouterr().out
    assert len(COMMANDS) >= 15
    assert [name for name in COMMANDS if name not in script] == []
    assert "learning-rate" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_a_command_and_an_option(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run("completion", "bash")
    script = capsys.readouterr().out

    def completed(*words: str) -> list[str]:
        bash = ["bash", "--norc", "-c", OF_LAST_WORD, "bash", script, *words]
        return subprocess.check_output(bash, text=True).split()

    assert completed("tra") == ["train", "traverse"]
    assert completed("train", "photos", "--most") == ["--most-epochs"]
