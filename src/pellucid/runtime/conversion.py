"""Convert a graph to ONNX, and prove that ONNX Runtime computes what PyTorch does."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from pellucid.errors import MissingExtraError, RunError
from pellucid.model.vae import VAE
from pellucid.runtime.graphs import Graph

TOLERANCE, EXACT = 1e-5, 1e-9
"""Of the steps that compute in float32, and of those in float64, which decide."""

_MULTIPLE = 4
"""How much further than PyTorch's own rounding ONNX Runtime may be: it adds up in another order."""

OPSET, IR = 18, 8
"""The lowest that the exporter writes, and the oldest file format that may hold it."""

_PACKAGES = ("onnxruntime", "onnxscript", "torch")
_BATCHES = [1, 3, 11, 17]
"""Sizes that every graph is checked on; none of them is the one that it was converted with."""

_Answers = dict[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime's answers are from PyTorch's, the largest over all images of the check.

    Attributes:
        steps: Output -> the difference of a step from the same step in float64, which was given ONNX
            Runtime's own answers to the steps before: absolute up to 1, relative above; of a score, relative
            to the sum of its contributions.
        rounding: Output -> likewise, of PyTorch in float32: largest of SSIM, where an image is flat.
        whole: Output -> the absolute difference from PyTorch where each computes all of it from the input.
            A detector multiplies small differences: by its coefficients, and by how flat its columns are.
    """

    steps: dict[str, float]
    rounding: dict[str, float]
    whole: dict[str, float]


def need_packages() -> None:
    """Refuse to go on without the packages that this needs.

    Raises:
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"ONNX needs onnx, onnxscript and onnxruntime ({error}). Run: pip install 'pellucid[onnx]'"
        ) from error


def to_onnx(graph: Graph, examples: Tensor, metadata: Mapping[str, str] | None = None) -> bytes:
    """Convert a graph to the content of an ONNX file that takes any number of images.

    Args:
        graph: On the CPU.
        examples: Values of its input, at least 5.
        metadata: Texts that the file carries.
    """
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            (examples[:5],),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[graph.given],
            output_names=list(graph.outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    written = program.model_proto
    written.ir_version = IR
    written.producer_name = "pellucid"
    for key, value in (metadata or {}).items():
        entry = written.metadata_props.add()
        entry.key, entry.value = key, value
    del written.graph.metadata_props[:]
    for node in written.graph.node:  # where in which file each came from: of no use to others
        del node.metadata_props[:]
    content: bytes = written.SerializeToString()
    return content


def open_session(content: bytes, *, threads: int = 1) -> Any:
    """Open an ONNX Runtime session on what `to_onnx` has made.

    An ONNX file is a program: it can name other files to read, and run for ever. So Pellucid opens only what
    it has just made itself, never a file.

    Raises:
        RunError: If ONNX Runtime does not take it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        raise RunError(
            f"ONNX Runtime does not open what was converted ({_line(error)}). {_advice()}"
        ) from error


def check(name: str, session: Any, vae: VAE, build: Callable[[VAE], Graph], examples: Tensor) -> Agreement:
    """Compare a session with the graph that it was made from.

    Step by step, because little becomes much from one to the next: where a pixel is all but black or white,
    the last digit of float32 is a tenth of a nat of cross entropy, and a detector multiplies that again.

    Args:
        name: What the graph is called in errors.
        session: Of `open_session`.
        vae: The graph's networks, on the CPU.
        build: Makes the graph of them.
        examples: 32 values of its input, or more.

    Raises:
        RunError: If a step in float32 is further than `TOLERANCE` from the exact answer, and further than
            four times PyTorch's own rounding; if one in float64 is further than `EXACT`; if PyTorch's own
            answers are not numbers; or if ONNX Runtime gives none, or others than the graph.
    """
    graph, precise = build(vae), build(deepcopy(vae).double())
    steps, rounding, whole = (dict.fromkeys(graph.outputs, 0.0) for _ in range(3))
    allowed = dict.fromkeys(graph.outputs, EXACT)
    for given in torch.split(examples, [*_BATCHES, *_rest(len(examples))]):
        alone = _alone(graph, given)
        answers = _answers(name, session, graph, given, alone)
        rounded, exact = (_given_those_before(some, given, answers) for some in (graph, precise))
        for output, got in answers.items():
            by_torch = alone[output].astype(np.float64)
            if not np.isfinite(by_torch).all():
                raise RunError(
                    f"{name}: expected numbers from the model, got {output} of nan or inf. Its training "
                    "diverged: train again."
                )
            if not np.isfinite(got).all():
                raise RunError(
                    f"{name}: expected numbers from ONNX Runtime, got {output} of nan or inf. {_advice()}"
                )
            truth = exact[output]
            size = np.maximum(
                1, np.abs(answers["contributions"]).sum(1) if output == "score" else np.abs(truth)
            )
            steps[output] = max(steps[output], _largest((got - truth) / size))
            rounding[output] = max(rounding[output], _largest((rounded[output] - truth) / size))
            whole[output] = max(whole[output], _largest(got - by_torch))
            if got.dtype == np.float32:
                allowed[output] = max(TOLERANCE, _MULTIPLE * rounding[output])
    too_far = [f"{output} {gap:.1e}" for output, gap in steps.items() if not gap <= allowed[output]]
    if too_far:
        raise RunError(
            f"{name}: expected every step of ONNX Runtime within {TOLERANCE:g} of what PyTorch computes, and "
            f"{EXACT:g} where it decides, got {', '.join(too_far)}. {_advice()}"
        )
    return Agreement(steps, rounding, whole)


def _answers(name: str, session: Any, graph: Graph, given: Tensor, alone: _Answers) -> _Answers:
    """What a session answers, of the shapes and types that PyTorch's own answers have."""
    wanted = list(graph.outputs)
    try:
        answers = dict(zip(wanted, session.run(wanted, {graph.given: given.numpy()}), strict=True))
    except Exception as error:
        raise RunError(f"{name}: ONNX Runtime does not compute it ({_line(error)}). {_advice()}") from error
    for output, answer in answers.items():
        expected, found = _kind(alone[output]), _kind(answer)
        if found != expected:
            raise RunError(f"{name}: expected {output} to be {expected}, got {found}. {_advice()}")
    return answers


def _kind(answer: object) -> str:
    if not isinstance(answer, np.ndarray):
        return f"a {type(answer).__name__}"
    return f"{answer.dtype} {list(answer.shape)}"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def _advice() -> str:
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return f"One of {versions} computes something else: report this, or use PyTorch."


def _largest(gap: Shaped[np.ndarray, "..."]) -> float:
    return float(np.abs(gap).max())


def _rest(count: int) -> list[int]:
    left = count - sum(_BATCHES)
    return [left] if left > 0 else []


@torch.no_grad()
def _given_those_before(graph: Graph, given: Tensor, answers: _Answers) -> _Answers:
    known = {graph.given: given} | {name: torch.from_numpy(answer) for name, answer in answers.items()}
    found: _Answers = {}
    for step in graph.steps:
        computed = step.compute(*(known[name] for name in step.takes))
        found |= {name: value.double().numpy() for name, value in zip(step.gives, computed, strict=True)}
    return found


@torch.no_grad()
def _alone(graph: Graph, given: Tensor) -> _Answers:
    return {name: value.numpy() for name, value in zip(graph.outputs, graph(given), strict=True)}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on packages that are not there and on PyTorch's own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
