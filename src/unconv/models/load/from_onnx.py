"""``FILE.onnx``: the network of an ONNX file, with the weights in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from unconv.errors import ModelError, printable
from unconv.models.load.from_file import assumed_preprocess
from unconv.models.load.onnx_file.network import OnnxNetwork
from unconv.models.load.onnx_file.read import read_onnx
from unconv.models.load.recipe import Recipe, ready_made


def onnx_recipe(path: Path) -> Recipe:
    """Read an ONNX file; its network has the names and the weights of the file.

    Raises ModelError, in one line that names file and node, for a file that onnx refuses and operators that are not
    known; MissingExtraError where onnx is not installed.
    """
    module = OnnxNetwork(read_onnx(path))
    preprocess, assumed = assumed_preprocess(module)
    with suppress(ModelError):
        # Pictures of the size that the file fixes.
        sizes = module.input_sizes
        if len(sizes[0]) == 3:
            preprocess = preprocess.changed(sizes[0][1:], None, None)
    name = printable(path)
    return ready_made(name, module, f"those of {name}", preprocess, assumed)
