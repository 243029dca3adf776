"""Fig 4: the live tool."""

from pellucid.reproduction.context import Context
from pellucid.reproduction.exhibit import Exhibit, Part


def live(context: Context) -> Part:
    """Say that there is none yet."""
    exhibit = Exhibit(
        figures=(4,),
        title="The live tool",
        paper="A tool with three panels: on the left a file or a camera with an overlay to align the face "
        "and a button that freezes it, in the middle the named latents, on the right the reconstruction with "
        "its losses.",
        here=(
            "Pellucid has no live tool yet, so there is nothing to show and nothing was tested. Until then, "
            "pellucid traverse moves the latents of a photograph, and pellucid detect --explain shows its "
            "losses.",
        ),
    )
    return Part("live", (exhibit,), {})
