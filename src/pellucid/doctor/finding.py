"""What one check says."""

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "lacking", "broken"]


@dataclass(frozen=True)
class Finding:
    """What one check says.

    Attributes:
        topic: The heading that it stands under.
        name: What was looked at.
        value: What was found, in one line.
        state: `fine`; `lacking`: something works less well, or not, that can be done without; `broken`:
            something essential does not work.
        advice: What to do, in one line; empty if nothing.
    """

    topic: str
    name: str
    value: str
    state: State = "fine"
    advice: str = ""
