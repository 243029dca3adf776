"""PyTorch beside ONNX Runtime, from pixels to losses, texture and latents, one thread each, taking turns.

python benchmarks/onnx_speed.py RUN
"""

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from pellucid.anomaly.features import columns_of, measured
from pellucid.data.images import to_float
from pellucid.model.predictor import load
from pellucid.runtime.features import OnnxFeatures

TURNS, PICTURES = 15, 64


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path)
    run = options.parse_args().run
    torch.set_num_threads(1)
    model = load(run, device="cpu")
    exported = OnnxFeatures(model)
    columns = columns_of("losses+texture+latents", model.latents)
    built = model.config.architecture
    shape = (PICTURES, built.size, built.size, built.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for batch in (1, 4, 16, 64):
        parts = [pixels[start : start + batch] for start in range(0, PICTURES, batch)]
        took: dict[str, list[float]] = {"PyTorch": [], "ONNX Runtime": []}
        for turn in range(TURNS + 1):
            for name in took:
                began = time.perf_counter()
                for part in parts:
                    _ = (
                        measured(model, to_float(part), columns)
                        if name == "PyTorch"
                        else exported.values(part, columns)
                    )
                if turn:
                    took[name].append(1000 * (time.perf_counter() - began) / PICTURES)
        ratios = [torch_ / onnx for torch_, onnx in zip(took["PyTorch"], took["ONNX Runtime"], strict=True)]
        times = ", ".join(f"{name} {median(values):.2f}" for name, values in took.items())
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"batch {batch}: ms a picture: {times}; ONNX Runtime is {spread} times as fast")


if __name__ == "__main__":
    main()
