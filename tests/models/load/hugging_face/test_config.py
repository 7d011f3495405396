"""config.json: what builds the network is read, what would run code is left out, networks of others are sent home."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from unconv.errors import ModelError
from unconv.models.load.hugging_face.config import CODE, _without_code, class_names, read_config
from unconv.models.load.hugging_face.files import Files


def config(folder: Path, values: Any) -> Files:
    (folder / "config.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return Files("net", folder)


NESTED = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CODE, "hidden_size"]), inner, max_size=4)
    ),
)


@settings(max_examples=50)
@given(NESTED)
def test_nothing_that_would_fetch_code_is_left_at_any_depth(values: Any) -> None:
    assert not any(f'"{key}":' in json.dumps(_without_code(values)) for key in CODE)


def test_all_other_values_are_as_they_were(tmp_path: Path) -> None:
    kept = {"model_type": "vit", "hidden_size": 16, "backbone_config": {"depths": [1, 2]}}
    spoiled = {**kept, "auto_map": {"AutoModel": "code.Net"}, "dtype": "float16"}
    spoiled["backbone_config"] = {"depths": [1, 2], "attn_implementation": "someone/kernel"}
    assert read_config(config(tmp_path, spoiled)) == kept


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architecture": "resnet50", "pretrained_cfg": {"tag": "a1_in1k"}}, "of timm; say timm:resnet50.a1_in1k"),
        ({"_class_name": "UNet2DModel"}, "is UNet2DModel of diffusers, not of transformers; give a Python file"),
        ({"hidden_size": 16}, "config.json names no model_type"),
        ({"model_type": "vit", "quantization_config": {"bits": 4}}, "its weights are quantised"),
        ([1, 2], "config.json holds no values by name"),
        ("{", "config.json cannot be read: Expecting property name"),
    ],
)
def test_what_is_no_network_of_transformers_is_refused(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(said)):
        read_config(config(tmp_path, values))


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"hf:net: the folder has no config\.json; give a folder that model\.save"):
        read_config(Files("net", tmp_path))


@pytest.mark.parametrize("labels", [None, {"0": "LABEL_0"}, {"0": "cat", "2": "dog"}, {"0": ""}, ["cat"]])
def test_outputs_without_names_have_none(labels: Any) -> None:
    assert class_names({"id2label": labels}, "ViTForImageClassification") is None


def test_names_are_those_of_classes_alone() -> None:
    labels = {"id2label": {str(index): f"kind {index}" for index in reversed(range(12))}}
    assert class_names(labels, "SegformerForSemanticSegmentation") == tuple(f"kind {index}" for index in range(12))
    assert class_names(labels, "ViTModel") is None
