"""Recipes of transformers' vision networks, of a folder or a name on the Hugging Face hub."""

from __future__ import annotations

import torch

from unconv.errors import one_line, printable
from unconv.models.load.from_file import assumed_preprocess
from unconv.models.load.hugging_face.config import class_names, read_config
from unconv.models.load.hugging_face.files import Files, find_files
from unconv.models.load.hugging_face.network import Network, find_class, quiet, transformers
from unconv.models.load.hugging_face.picture_transform import transform_of
from unconv.models.load.hugging_face.published_weights import load_published
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe

# Where an image processor keeps its settings.
SETTINGS = "preprocessor_config.json"


def hugging_face_recipe(name: str) -> Recipe:
    """How to make a vision network of transformers: of a folder, or of a name on the hub.

    Code that a model brings along is never run, nor are pickles: of them tensors alone are read.

    Raises ModelError for what is no such network; MissingExtraError where transformers is not installed.
    """
    files = find_files(name)
    values = read_config(files)
    where = f"hf:{printable(name)}"
    network = Network(where, values, find_class(where, values))
    preprocess, assumed, notes = _preprocess(network, files)
    return Recipe(
        name=f"hf:{name}",
        build=network.build,
        pretrained=lambda: load_published(network, files),
        weights=f"those of {printable(name)}" + ("" if files.folder else " on the Hugging Face hub"),
        preprocess=preprocess,
        classes=lambda: class_names(values, network.kind.__name__),
        assumed=assumed,
        notes=notes,
    )


def _preprocess(network: Network, files: Files) -> tuple[Preprocess, str, tuple[str, ...]]:
    """The picture transform, the sentence that it is assumed where it is, and notes."""
    path, refused = files.find(SETTINGS), f"no {SETTINGS} tells the picture transform"
    if path is not None:
        try:
            with quiet():
                load = transformers().AutoImageProcessor.from_pretrained
                processor = load(str(path.parent), trust_remote_code=False, local_files_only=True)
            preprocess, notes = transform_of(processor, network.channels)
        except Exception as error:  # each processor in its own way; ours where it makes no picture
            refused = f"the picture transform of {SETTINGS} cannot be taken ({one_line(error)})"
        else:
            return preprocess, "", notes
    with torch.device("meta"):
        preprocess, _ = assumed_preprocess(network.build(None))
    if network.sides is not None:
        preprocess = Preprocess(network.sides, network.sides, preprocess.mean, preprocess.std)
    return preprocess, f"{refused}: {preprocess} assumed unless told", ()
