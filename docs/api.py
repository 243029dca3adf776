"""Write docs/api.md, the reference of the Python interface, from signatures and docstrings.

python docs/api.py > docs/api.md

Read from the source and not from the imported package: annotations stay as they were written.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pellucid

SOURCE = Path(__file__).parent.parent / "src"
RESULTS = (
    ("pellucid.anomaly.verdict", "Verdict"),
    ("pellucid.anomaly.verdict", "Contribution"),
    ("pellucid.anomaly.verdict", "Reason"),
    ("pellucid.anomaly.explanation", "Explanation"),
    ("pellucid.anomaly.explanation", "Neighbour"),
    ("pellucid.anomaly.explanation", "Counterfactual"),
    ("pellucid.anomaly.explanation", "Move"),
    ("pellucid.anomaly.features", "Features"),
    ("pellucid.comparison.compare", "Comparison"),
    ("pellucid.comparison.compare", "Difference"),
    ("pellucid.latents.names", "LatentTable"),
    ("pellucid.latents.names", "LatentRecord"),
    ("pellucid.data.attributes", "Attributes"),
    ("pellucid.model.directory", "ModelConfig"),
    ("pellucid.objective.reconstruction", "Loss"),
    ("pellucid.training.loop", "Trained"),
    ("pellucid.training.loop", "Progress"),
)
"""What the public functions give back or take, beside the public classes themselves."""

ALIASES = (
    ("pellucid.model.predictor", "Images"),
    ("pellucid.anomaly.detector", "Examples"),
    ("pellucid.data.grouping", "Labels"),
    ("pellucid.objective.reconstruction", "Scores"),
    ("pellucid.data.images", "Crop"),
    ("pellucid.data.dataset", "Split"),
    ("pellucid.objective.objectives", "ObjectiveName"),
    ("pellucid.training.config", "Precision"),
)
"""Names that stand in the signatures for longer types."""

HEAD = """\
# Python interface

What `import pellucid` offers. Written by `make docs` from the signatures and docstrings; a test fails where
the two differ.

Shapes are in the notation of [jaxtyping](https://docs.kidger.site/jaxtyping/):
`Float[Tensor, "batch latent"]` is a tensor of floats with these two axes. Wherever an error is named,
catching `pellucid.PellucidError` catches it, too.
"""


def reference() -> str:
    """The whole page."""
    found = [(name, definition(module, name)) for name, module in pellucid._HOME.items()]
    functions = [(n, node) for n, node in found if isinstance(node, ast.FunctionDef)]
    classes = [(n, node) for n, node in found if isinstance(node, ast.ClassDef)]
    parts = [HEAD, "## Functions\n", *(function(node, 3) for _, node in sorted(functions, key=first))]
    parts += ["## Classes\n", *(described(node) for _, node in sorted(classes, key=first))]
    parts += ["## Losses\n", losses(), "## Errors\n", errors()]
    parts += ["## What comes back\n", "These come from the functions above; nobody needs to import them.\n"]
    parts += [described(in_module(module, name)) for module, name in RESULTS]
    parts += ["## Names in signatures\n", *(alias(module, name) for module, name in ALIASES)]
    return re.sub("\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def first(pair: tuple[str, ast.stmt]) -> str:
    """The order: by name, whatever the case."""
    return pair[0].lower()


def tree(module: str) -> ast.Module:
    """The syntax of a module of the package."""
    path = SOURCE / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def definition(module: str, name: str) -> ast.stmt:
    """Where a module defines a name: a class, a function, or an assignment."""
    for node in tree(module).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = [target.id for target in targets if isinstance(target, ast.Name)]
        if getattr(node, "name", None) == name or name in named:
            return node
    raise LookupError(f"{module} does not define {name}")


def in_module(module: str, name: str) -> ast.ClassDef:
    """A class by its name."""
    node = definition(module, name)
    assert isinstance(node, ast.ClassDef), name
    return node


def described(node: ast.ClassDef) -> str:
    """A class: how it is made, what it is, its public methods and properties."""
    made = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    values = [part for part in node.body if isinstance(part, ast.AnnAssign) and not _private(part)]
    line = f"class {node.name}"
    if made:
        line += signature(made[0], bound=True)
    elif values:
        line += "(" + ", ".join(ast.unparse(part) for part in values) + ")"
    elif node.bases:
        line += f"({', '.join(map(ast.unparse, node.bases))})"
    text = f"### {node.name}\n\n{code(line)}\n{prose(ast.get_docstring(node) or '')}\n"
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
            text += function(part, 4, owner=node.name)
    return text


def _private(part: ast.AnnAssign) -> bool:
    return isinstance(part.target, ast.Name) and part.target.id.startswith("_")


def function(node: ast.FunctionDef, level: int, owner: str = "") -> str:
    """A function, method or property: signature and docstring."""
    kinds = {ast.unparse(decorator) for decorator in node.decorator_list}
    title = f"{owner}.{node.name}" if owner else node.name
    if kinds & {"property", "cached_property"}:
        line = f"{title}: {ast.unparse(node.returns) if node.returns else 'Any'}"
    else:
        line = title + signature(node, bound=bool(owner) and "staticmethod" not in kinds)
    return f"{'#' * level} {title}\n\n{code(line)}\n{prose(ast.get_docstring(node) or '')}\n"


def signature(node: ast.FunctionDef, *, bound: bool) -> str:
    """Arguments and what comes back, as written; without `self`."""
    arguments = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(arguments, ast.FunctionDef)
    if bound:
        (arguments.args.posonlyargs or arguments.args.args).pop(0)
    given = re.sub(r"(?<=[\w\]')])=(?=[\w'(-])", " = ", ast.unparse(arguments.args))
    back = "" if node.returns is None or node.name == "__init__" else f" -> {ast.unparse(node.returns)}"
    return f"({given}){back}"


def code(line: str) -> str:
    """A signature as a block; one argument a line where it is long."""
    if len(line) > 100:
        start, depth = line.index("(") + 1, 0
        pieces, piece = [], ""
        for place, sign in enumerate(line[start:], start):
            depth += (sign in "([{") - (sign in ")]}")
            if depth < 0:
                pieces.append(piece)
                line = (
                    f"{line[:start]}\n" + "".join(f"    {p.strip()},\n" for p in pieces if p) + line[place:]
                )
                break
            if sign == "," and depth == 0:
                pieces.append(piece)
                piece = ""
            else:
                piece += sign
    return f"```text\n{line}\n```\n"


def prose(docstring: str) -> str:
    """A docstring as Markdown: its sections become lists of names and meanings."""
    return "\n".join(_section(part) for part in re.split(r"\n\n(?=\S)", docstring))


def _section(part: str) -> str:
    head, _, body = part.partition("\n")
    if head in ("Args:", "Attributes:", "Raises:"):
        entries = re.split(r"\n(?=\S)", textwrap.dedent(body))
        return f"*{head.replace('Args', 'Arguments')}*\n\n" + "".join(_entries(entries))
    if head == "Returns:":
        return f"*Returns:* {_flat(textwrap.dedent(body))}\n"
    return f"{_escaped(part)}\n"


def _entries(entries: list[str]) -> Iterator[str]:
    for entry in entries:
        name, _, meaning = entry.partition(": ")
        yield f"- `{name}`: {_flat(meaning)}\n"


def _flat(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    """Markdown takes stars for emphasis and [a b] for a link; what stands between backticks stays."""
    pieces = re.split("(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_|<>\[\]])", r"\\\1", p) for p in pieces)


def losses() -> str:
    """`LOSSES`, and what each of its losses is."""
    rows = "".join(
        f"| `{loss.name}` | {_flat(loss.description)} | {_flat(loss.unit)} | {_flat(loss.best)} |\n"
        for loss in pellucid.LOSSES.values()
    )
    head = "`pellucid.LOSSES` maps the name of each reconstruction loss to a [`Loss`](#loss).\n\n"
    return f"{head}| name | what it is | unit | best possible |\n|---|---|---|---|\n{rows}"


def errors() -> str:
    """The error tree, as it is drawn in its module."""
    drawn = ast.get_docstring(tree("pellucid.errors")) or ""
    lines = [line[4:] for line in drawn.splitlines() if line.startswith("    ")]
    return (
        "All are in `pellucid.errors`; `pellucid.PellucidError` is the root. A message says what was "
        "expected, what came, and what to do next.\n\n```text\n" + "\n".join(lines) + "\n```\n"
    )


def alias(module: str, name: str) -> str:
    """A name for a type, and what it stands for."""
    body = tree(module).body
    node = definition(module, name)
    assert isinstance(node, ast.Assign), name
    text = f"- `{name}`: `{ast.unparse(node.value)}`"
    after = body[[ast.unparse(n) for n in body].index(ast.unparse(node)) + 1]
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
        text += f". {_flat(str(after.value.value))}"
    return text


if __name__ == "__main__":
    print(reference(), end="")
