"""What config.json says of a network of transformers, without what would fetch or run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from unconv.errors import ModelError, one_line, printable
from unconv.models.load.hugging_face.files import Files

# Each would fetch and run code of the hub: attention and expert kernels, modules beside the weights.
CODE = (
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("auto_map", "custom_pipelines", "fusion_config", "kernel_config", "use_kernels", "distributed_config"),
)
# The precision of the file: the network here has torch's own.
PRECISION = ("dtype", "torch_dtype")


def read_config(files: Files) -> dict[str, Any]:
    """The values of config.json that say how the network is built; others are left out at every depth.

    Raises ModelError for a network of another package, quantised ones, and what is no configuration.
    """
    path = files.find("config.json")
    if path is None:
        raise files.missing("config.json")
    where = f"hf:{printable(files.name)}"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: config.json cannot be read: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{where}: config.json holds no values by name")
    _check_package(values, where)
    if "quantization_config" in values:
        raise ModelError(f"{where}: its weights are quantised; give the network that it was made from")
    cleaned: dict[str, Any] = _without_code(values)
    return cleaned


def class_names(values: Mapping[str, Any], architecture: str) -> tuple[str, ...] | None:
    """The names of a network's outputs by index, None where it has none: numbered ones are not.

    >>> class_names({"id2label": {"1": "dog", "0": "cat"}}, "ViTForImageClassification")
    ('cat', 'dog')
    >>> class_names({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "ViTForImageClassification") is None
    True
    """
    labels = values.get("id2label")
    if not isinstance(labels, Mapping) or not any(kind in architecture for kind in ("Classification", "Segmentation")):
        return None
    names = [labels.get(str(index)) for index in range(len(labels))]
    numbered = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    return None if numbered or not all(isinstance(name, str) and name for name in names) else tuple(map(str, names))


def _check_package(values: Mapping[str, Any], where: str) -> None:
    if isinstance(values.get("model_type"), str):
        return
    if isinstance(values.get("pretrained_cfg"), Mapping) and isinstance(values.get("architecture"), str):
        name = ".".join(filter(None, (values["architecture"], values["pretrained_cfg"].get("tag"))))
        raise ModelError(f"{where}: is a network of timm; say timm:{printable(name)}")
    if "_class_name" in values:
        raise ModelError(
            f"{where}: is {printable(str(values['_class_name']))} of diffusers, not of transformers; give a Python "
            "file with a function that returns it: FILE.py:FUNCTION"
        )
    raise ModelError(f"{where}: config.json names no model_type; it is not of transformers")


def _without_code(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _without_code(value) for key, value in values.items() if key not in (*CODE, *PRECISION)}
    return [_without_code(value) for value in values] if isinstance(values, list) else values
