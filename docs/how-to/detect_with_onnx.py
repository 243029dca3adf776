"""Judge pictures without Pellucid: python detect_with_onnx.py detector.onnx PICTURES"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["pellucid"])
rule = about["preprocessing"]
for path in sys.argv[2:]:
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if rule["crop"] == "center":
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        box = (left, top, left + side, top + side)
    else:
        box = tuple(part * length for part, length in zip(rule["box"], picture.size * 2, strict=True))
    shape = (1, rule["size"], rule["size"], rule["channels"])
    picture = picture.resize(shape[1:3], Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    picture = picture.convert("RGB" if rule["channels"] == 3 else "L")
    answers = session.run(about["outputs"], {"pixels": np.asarray(picture, np.uint8).reshape(shape)})
    found = dict(zip(about["outputs"], answers, strict=True))
    verdict = "normal" if found["normal"][0] else "anomalous"
    columns = about["detector"]["columns"]
    reason = columns[int(np.abs(found["contributions"][0]).argmax())]["label"]
    print(f"{path}: {verdict}, score {found['score'][0]:.4f}, most by {reason}")
