"""ONNX Runtime measures as PyTorch does, with a graph made from the run's weights: no ONNX file is read."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported_case import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import pellucid
from pellucid.anomaly.features import columns_of, measure_images
from pellucid.data.images import to_float
from pellucid.errors import RunError
from pellucid.model.predictor import Model, load
from pellucid.runtime import features as module
from pellucid.runtime.conversion import to_onnx
from pellucid.runtime.features import OnnxFeatures
from pellucid.runtime.graphs import Graph
from pellucid.scoring.scorer import Scorer, recipe_of


def noise(model: Model, count: int) -> np.ndarray:
    built = model.config.architecture
    shape = (count, built.size, built.size, built.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_features_are_the_models(case: Case) -> None:
    pixels = noise(case.model, 9)
    values = OnnxFeatures(case.model).values(pixels, columns_of("losses+texture+latents", case.model.latents))
    assert np.abs(values - measure_images(case.model, to_float(pixels)).values).max() < 1e-5


@pytest.fixture(scope="module")
def convert(case: Case) -> Callable[..., bytes]:
    """`to_onnx` of the case's features, which takes seconds, done once."""
    made: dict[str, bytes] = {}

    def convert(graph: Graph, examples: Any) -> bytes:
        if "features" not in made:
            made["features"] = to_onnx(graph, examples)
        return made["features"]

    return convert


def reads_a_file(secret: Path) -> bytes:
    """The latents are the bytes of a file: external data by an absolute path."""
    weights = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[1, 6])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=str(secret))
    return model_of([helper.make_node("Identity", ["stolen"], ["posterior_mean"])], [weights])


def never_ends() -> bytes:
    """A loop of 2^62 turns."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6]),
        ],
    )
    start = [
        helper.make_tensor("turns", TensorProto.INT64, [], [2**62]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        helper.make_tensor("first", TensorProto.FLOAT, [1, 6], [0.0] * 6),
    ]
    node = helper.make_node("Loop", ["turns", "true", "first"], ["posterior_mean"], body=body)
    return model_of([node], start)


def doubles_its_memory(times: int) -> bytes:
    first = helper.make_tensor("x0", TensorProto.FLOAT, [1, 6], [0.0] * 6)
    nodes = [helper.make_node("Concat", [f"x{i}"] * 2, [f"x{i + 1}"], axis=0) for i in range(times)]
    return model_of([*nodes, helper.make_node("Identity", [f"x{times}"], ["posterior_mean"])], [first])


def calls_foreign_code(domain: str) -> bytes:
    node = helper.make_node("Anything", ["pixels"], ["posterior_mean"], domain=domain)
    return model_of([node], [], domains=[domain])


def model_of(nodes: list[Any], initializers: list[Any], domains: tuple[str, ...] | list[str] = ()) -> bytes:
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [None, 32, 32, 3])],
        [helper.make_tensor_value_info("posterior_mean", TensorProto.FLOAT, [None, 6])],
        initializers,
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in domains)]
    content: bytes = helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString()
    return content


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are changed, lost or put in, most of them where the graph is written rather than weights."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        near = int(rng.integers(min(len(changed), 20_000)))
        at = (near, len(changed) - 1 - near, int(rng.integers(len(changed))))[rng.integers(3)]
        kind, count = rng.integers(4), int(rng.integers(1, 40))
        if kind == 0:
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del changed[at : at + count]
        else:
            changed[at : at + count * int(kind == 2)] = rng.integers(0, 256, count, np.uint8).tobytes()
    return bytes(changed)


@pytest.mark.torture(40, 4000)
def test_whatever_stands_where_the_graph_should_is_refused_or_computes_what_pytorch_does(
    case: Case, convert: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """As if the converter, memory or a disk had damaged it: no other error, no crash, no wrong numbers."""
    pixels = noise(case.model, 2)
    expected = measure_images(case.model, to_float(pixels)).values
    columns = columns_of("losses+texture+latents", case.model.latents)
    OnnxFeatures(case.model).values(pixels, columns)  # whole, it is taken
    opened, rng = 0, np.random.default_rng(rounds)
    for _ in range(rounds):
        monkeypatch.setattr(module, "to_onnx", lambda *_: mutated(convert(*_), rng))
        try:
            values = OnnxFeatures(case.model).values(pixels, columns)
        except RunError as error:
            assert "\n" not in str(error)  # noqa: PT017 (a refusal is one of two right answers)
            opened += "does not open" not in str(error)
        else:
            opened += 1
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)
    assert 0 < opened < rounds  # some damage is found by what is computed alone


HOSTILE = st.one_of(
    st.just("secret").map(lambda _: reads_a_file(Path("/etc/hostname"))),
    st.just("loop").map(lambda _: never_ends()),
    st.integers(1, 40).map(doubles_its_memory),
    st.text("abcdef.", min_size=1, max_size=20).map(calls_foreign_code),
    st.binary(max_size=2000),
    st.integers(0, 2**32).map(np.random.default_rng),  # mutates what is there
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=HOSTILE, name=st.sampled_from(["detector.onnx", "encoder.onnx", "decoder.onnx", "export.json"])
)
def test_whatever_a_stranger_puts_into_a_run_changes_nothing(
    case: Case, convert: Callable[..., bytes], content: bytes | np.random.Generator, name: str
) -> None:
    pixels = noise(case.model, 3)
    expected = measure_images(case.model, to_float(pixels)).values
    file = case.run / "onnx" / name
    kept = file.read_bytes() if file.exists() else None
    if isinstance(content, np.random.Generator):
        content = mutated((case.run / "onnx" / "detector.onnx").read_bytes(), content)
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "to_onnx", convert)
        scorer = Scorer(recipe_of(str(case.run), "cpu", "onnx"))
        values = scorer.score_pictures([(str(row), image) for row, image in enumerate(pixels)]).values
    file.unlink()
    if kept is not None:
        file.write_bytes(kept)
    np.testing.assert_allclose(values, expected, atol=1e-5)


WATCHED = """
import os, sys
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(lambda event, given: event == "open" and os.write(log, (ascii(given[0]) + chr(10)).encode()))
from pellucid.cli import main
main()
"""


def test_scoring_opens_nothing_in_the_folder_of_exports(case: Case, tmp_path: Path) -> None:
    """A pipe in place of each file: who opened one would wait for ever."""
    run, log = tmp_path / "run", tmp_path / "opened"
    shutil.copytree(case.run, run)
    for file in (run / "onnx").iterdir():
        file.unlink()
        os.mkfifo(file)
    photo = tmp_path / "photo.npy"
    np.save(photo, noise(case.model, 2))
    command = [sys.executable, "-c", WATCHED, str(log), "features", str(run), str(photo)]
    command += ["--runtime", "onnx", "--out", str(tmp_path / "t.csv"), "--workers", "0"]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert (tmp_path / "t.csv").read_text().count("\n") == 3
    opened = log.read_text()
    assert "model.safetensors" in opened
    assert f"{run}/onnx" not in opened


def test_only_what_was_just_made_is_given_to_onnx_runtime() -> None:
    package = Path(pellucid.__file__).parent
    calls = [
        (file.name, node)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]

    def named(node: ast.AST) -> str:
        return getattr(node, "attr", getattr(node, "id", ""))

    assert [file for file, node in calls if named(node.func) == "InferenceSession"] == ["conversion.py"]
    opened = {(file, ast.unparse(node.args[0])) for file, node in calls if named(node.func) == "open_session"}
    assert opened == {
        ("features.py", "to_onnx(features_graph(vae), examples)"),
        ("export.py", "contents[name]"),
    }
    loaders = {"load_model_from_string", "load_from_string", "load_external_data_for_model"}
    assert not [file for file, node in calls if named(node.func) in loaders]


def test_hostile_graphs_are_what_they_claim(tmp_path: Path) -> None:
    """The generators above make files that ONNX itself can read, so they do test something."""
    secret = tmp_path / "key"
    secret.write_bytes(np.arange(6, dtype=np.float32).tobytes())
    for content in (reads_a_file(secret), never_ends(), doubles_its_memory(3), calls_foreign_code("evil")):
        assert onnx.load_model_from_string(content).graph.node
    assert onnx.load_model_from_string(never_ends()).graph.node[0].op_type == "Loop"
    assert onnx.load_model_from_string(reads_a_file(secret)).graph.initializer[0].external_data


def test_the_device_of_the_model_does_not_matter(case: Case) -> None:
    assert (
        Scorer(recipe_of(str(case.run), "auto", "onnx")).model.device == load(case.run, device="cpu").device
    )
