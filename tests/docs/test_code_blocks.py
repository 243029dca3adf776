"""What stands in the pages as code runs, and what stands there as a command is one."""

import inspect
import io
import json
import re
import shlex
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from in_a_loop import in_a_loop
from pages import PAGES, ROOT, Block, blocks, name_of

import pellucid
from pellucid.cli import app
from pellucid.training import loop

TEXT = ("text", "json", "yaml", "html", "toml")
COMMAND = re.compile(r"(?:^|&& |\$ |-m )pellucid(?= |$)([^|]*)")
ASSIGNED = re.compile(r"(?:^|\s)([A-Z]+)=([^\s;]+)")


def blocks_of(page: Path) -> list[Block]:
    return blocks(page.read_text(encoding="utf-8"))


PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]
COMMANDS = [page for page in PAGES if page.name != "commands.md" and "pellucid " in page.read_text("utf-8")]


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what a page runs, only the trainings' budgets are another: two steps of eight images."""
    train = loop.train

    def short(dataset: Any, architecture: Any, config: Any, run: Any, **settings: Any) -> loop.Trained:
        arguments = inspect.signature(train).bind(dataset, architecture, config, run, **settings)
        arguments.arguments["config"] = replace(
            config, steps=2, epochs=None, minutes=None, most_epochs=None, batch_size=8, validations=1
        )
        return train(*arguments.args, **arguments.kwargs)

    monkeypatch.setattr(pellucid, "train", short)  # first: it is looked up in `loop` when first used
    monkeypatch.setattr(loop, "train", short)


def run_page(page: Path) -> tuple[dict[str, Any], str]:
    """Run a page's blocks of Python in order, in one namespace; gives that and what they printed."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    for block in blocks_of(page):
        if block.language == "python":
            # as many blank lines in front that an error names the page's own line
            code = compile("\n" * block.line + block.text, name_of(page), "exec")
            with redirect_stdout(printed):
                exec(code, namespace)
    return namespace, printed.getvalue()


@pytest.mark.usefixtures("home", "short_trainings")
@pytest.mark.parametrize("page", PYTHON, ids=name_of)
def test_the_python_of_a_page_runs(page: Path) -> None:
    run_page(page)


def commands(block: Block) -> list[list[str]]:
    """The arguments of every `pellucid` command in a block, with the block's own variables filled in."""
    known = dict(ASSIGNED.findall(block.text))
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s&& ", line):
            if match := COMMAND.search(command.strip()):
                filled = re.sub(r"\$([A-Z]+)", lambda variable: known.get(variable[1], "$"), match[1])
                if filled.count('"') % 2:  # the end of a quoted script, as in: bash -c "... pellucid ..."
                    filled = filled.rstrip().removesuffix('"')
                found.append(shlex.split(filled, comments=True))
    return found


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    for block in blocks_of(page):
        if block.language in ("", "bash", "console", "yaml"):
            for arguments in commands(block):
                try:
                    app.parse_args(arguments, exit_on_error=False, print_error=False)
                except Exception as error:
                    pytest.fail(f"{name_of(page)}:{block.line}: pellucid {shlex.join(arguments)}: {error}")


def test_a_command_that_does_not_exist_is_found() -> None:
    block = Block(
        "bash", 1, "RUN=x\npellucid latents $RUN  # all\n# pellucid no\na && pellucid trane \\\n  --b 'c d'\n"
    )
    assert commands(block) == [["latents", "x"], ["trane", "--b", "c d"]]
    with pytest.raises(Exception, match="trane"):
        app.parse_args(["trane"], exit_on_error=False, print_error=False)


def test_every_block_says_what_it_is() -> None:
    known = {"python", "bash", "console", "", *TEXT}
    assert {block.language for page in PAGES for block in blocks_of(page)} <= known


def ask(service: Any, body: bytes) -> tuple[int, Any]:
    """POST to an ASGI application, from its beginning to its end; status and JSON of the answer."""
    scope = {
        "type": "http", "method": "POST", "path": "/verdicts", "raw_path": b"/verdicts", "root_path": "",
        "query_string": b"", "headers": [(b"content-length", str(len(body)).encode())],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    in_a_loop(service(scope, receive, send))
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


@pytest.mark.usefixtures("home")
def test_the_service_of_the_page_judges_refuses_and_bounds() -> None:
    namespace, _ = run_page(ROOT / "docs" / "how-to" / "in-a-service.md")
    service = namespace["app"]
    status, answer = ask(service, Path("photo.jpg").read_bytes())
    judged = namespace["detector"].judge("photo.jpg")[0]
    assert (status, answer["verdict"]) == (200, judged.verdict)
    assert answer["score"] == pytest.approx(judged.score, abs=1e-5)
    status, answer = ask(service, b"no picture")
    assert status == 422
    assert "expected a JPEG, PNG or WEBP picture" in answer["error"]
    assert ask(service, b"x" * (namespace["LARGEST"] + 1))[0] == 413
