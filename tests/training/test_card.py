"""The model card shows what others have named, and no name becomes markup in it."""

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pellucid.data.images import Preprocessing
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.training.card import CARD, write_card

TRAINING = {
    "objective": {"name": "vae", "losses": {"mse": 1.0}},
    "steps_taken": 1,
    "batch_size": 2,
    "minutes_taken": 0.1,
    "seed": 0,
    "pellucid": "0",
    "torch": "2",
}


@pytest.fixture
def config() -> ModelConfig:
    data = {"description": "", "train": 8, "validation": 1, "test": 1}
    return ModelConfig(Architecture("burgess", 32, 3, 4), Preprocessing(32, 3, "center"), data, TRAINING)


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>",
        "![](https://tracker.example/x.png)",
        "[free](javascript:alert(1))",
        "<https://evil.example>",
        "`code` | another cell | **bold** _em_ ~~del~~",
        "</td></table><script>alert(1)</script>",
        "&lt;b&gt; &#60;i&#62;",
        "\\`\\<b>",
        "[x]: https://evil.example",
        "photos of Ørsted, 日本",
    ],
)
def test_a_folders_name_is_text_and_nothing_else(name: str, config: ModelConfig, tmp_path: Path) -> None:
    description = f"10 photographs from {name}, face crop"
    write_card(tmp_path, replace(config, data={**config.data, "description": description}))
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse((tmp_path / CARD).read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {child.type for child in inline} | {token.type for token in tokens}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "strong_open", "em_open", "s_open"}
    cells = [
        "".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"
    ]
    assert cells[cells.index("trained on") + 1] == description
