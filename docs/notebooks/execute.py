"""Execute the notebooks of the documentation in place: `make notebooks`.

Each is run from its first cell in a new kernel, in this folder. What differs between two runs and means
nothing (times, the version of Python) is not kept. Pictures are kept with fewer colours, which saves a third.
"""

import base64
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
NOTEBOOKS = ("latents.ipynb", "verdicts.ipynb")  # the second uses the model of the first
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def smaller(png: str) -> str:
    """A picture in base64 with 64 levels of each colour instead of 256: 2 of 255 off at most."""
    image = Image.open(BytesIO(base64.b64decode(png))).convert("RGB")
    levels = [round(round(value / 255 * 63) / 63 * 255) for value in range(256)]
    buffer = BytesIO()
    image.point(levels * 3).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Execute all, in their order; the first cell that fails ends it, and its notebook stays as it was."""
    for name in NOTEBOOKS:
        path = FOLDER / name
        notebook = nbformat.read(path, as_version=4)
        place = {"metadata": {"path": str(FOLDER)}}
        NotebookClient(
            notebook, timeout=None, kernel_name="python3", record_timing=False, resources=place
        ).execute()
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])
        notebook.metadata = METADATA
        nbformat.write(notebook, path)
        print(path)


if __name__ == "__main__":
    main()
