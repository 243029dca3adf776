"""Measure images by ONNX Runtime instead of PyTorch: the features of `pellucid.anomaly`, computed faster."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from pellucid.anomaly.features import columns_of
from pellucid.model.predictor import Model
from pellucid.runtime.conversion import check, need_packages, open_session, to_onnx
from pellucid.runtime.examples import example_pixels
from pellucid.runtime.graphs import features_graph


class OnnxFeatures:
    """A model's features by ONNX Runtime.

    The graph is made from the run's own weights when it is first needed, some seconds, and checked against
    PyTorch. No ONNX file is ever read, so one in a stranger's run can do no harm.

    Args:
        model: On the CPU.
        threads: That compute.

    Raises:
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
    """

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        need_packages()
        self._model = model
        self._threads = threads

    @cached_property
    def _session(self) -> Any:
        vae, examples = self._model.vae, example_pixels(self._model)
        session = open_session(to_onnx(features_graph(vae), examples), threads=self._threads)
        check("the features", session, vae, features_graph, examples)
        return session

    def values(
        self, pixels: UInt8[np.ndarray, "image height width channel"], columns: Sequence[str]
    ) -> Float64[np.ndarray, "image column"]:
        """The values of columns of `pellucid.anomaly.features`; all are computed, whichever are wanted.

        Args:
            pixels: As the model's preprocessing gives them.
            columns: Those that are wanted, in their order.

        Raises:
            RunError: If ONNX Runtime does not compute what PyTorch does.
        """
        wanted = ["losses", "texture", "posterior_mean"]
        losses, busy, mean = self._session.run(wanted, {"pixels": pixels})
        values = np.concatenate([losses.astype(np.float64), busy, mean.astype(np.float64)], axis=1)
        every = columns_of("losses+texture+latents", self._model.latents)
        chosen: Float64[np.ndarray, "image column"] = values[:, [every.index(column) for column in columns]]
        return chosen
