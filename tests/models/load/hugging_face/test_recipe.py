"""``hf:FOLDER`` with transformers itself: networks that it saved, traced, audited, scanned, with its weights alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import unconv as uc
from unconv.cli.main import app
from unconv.errors import MissingExtraError, ModelError
from unconv.models.load.hugging_face import files

NAMES = {0: "cat", 1: "dog", 2: "cow"}
SMALL = {"hidden_sizes": [8, 16], "depths": [1, 1], "id2label": NAMES}
SETTINGS = {
    "ResNet": {**SMALL, "embedding_size": 8, "layer_type": "basic"},
    "ConvNext": {**SMALL, "num_stages": 2},
    "ViT": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
        "id2label": NAMES,
    },
    "Segformer": {
        **SMALL,
        "num_encoder_blocks": 2,
        "num_attention_heads": [1, 2],
        "decoder_hidden_size": 16,
        "sr_ratios": [4, 2],
        "patch_sizes": [7, 3],
        "strides": [4, 2],
        "mlp_ratios": [2, 2],
    },
}


def test_without_transformers_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"^hf:NAME_OR_FOLDER: needs transformers; pip install transformers$"):
        uc.trace(f"hf:{tmp_path}")


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers", reason="no transformers")


def save(transformers: Any, family: str, folder: Path) -> Any:
    """A small network of a family with its image processor, as transformers saves them."""
    kind = "SemanticSegmentation" if family == "Segformer" else "ImageClassification"
    model = getattr(transformers, f"{family}For{kind}")(getattr(transformers, f"{family}Config")(**SETTINGS[family]))
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("family", SETTINGS)
def test_a_saved_network_is_the_one_that_comes_back(transformers: Any, tmp_path: Path, family: str) -> None:
    model = save(transformers, family, tmp_path)
    loaded = uc.load_model(f"hf:{tmp_path}")
    assert (loaded.classes, loaded.input_size, loaded.notes) == (("cat", "dog", "cow"), (3, 32, 32), ())
    assert loaded.weights == f"those of {tmp_path}"
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(loaded(images).logits, model(images).logits)
    by_name, by_module = uc.trace(f"hf:{tmp_path}"), uc.trace(model, (3, 32, 32))
    assert [(one.name, one.macs, one.receptive_field) for one in by_name.layers] == [
        (one.name, one.macs, one.receptive_field) for one in by_module.layers
    ]
    assert by_name.macs == by_module.macs > 0
    assert uc.audit(f"hf:{tmp_path}", measure=False).macs == by_module.macs
    assert uc.load_model(f"hf:{tmp_path}", random_weights=True).weights == "random (seed 0)"


def test_a_name_on_the_hub_is_fetched_file_by_file(
    transformers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save(transformers, "ViT", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    asked = []

    def download(name: str, file: str, local_files_only: bool) -> str:
        asked.append(file)
        assert (name, local_files_only) == ("someone/small-vit", False)
        if not (tmp_path / file).is_file():
            raise huggingface_hub.errors.EntryNotFoundError("404")
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(files, "hub_is_reachable", lambda: True)
    assert uc.trace("hf:someone/small-vit").macs == uc.trace(model, (3, 32, 32)).macs
    assert asked == ["config.json", "preprocessor_config.json"]
    loaded = uc.load_model("hf:someone/small-vit")
    assert loaded.weights == "those of someone/small-vit on the Hugging Face hub"
    assert loaded.notes[0].startswith("read from ")
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(images).logits, model(images).logits)


def test_scan_and_report_have_its_classes_and_transform(transformers: Any, tmp_path: Path) -> None:
    save(transformers, "ResNet", tmp_path / "net")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{seed}.png")
    layer = "resnet.encoder.stages.0.layers.0.layer.0.convolution"
    made = uc.scan(f"hf:{tmp_path / 'net'}", pictures, layer, top=2)
    assert made.values[layer].shape == (8, 2)
    assert "size=(32, 32)" in made.about["preprocess"]
    arguments = ["see", f"hf:{tmp_path / 'net'}", str(pictures), "--layers", layer, "--out", str(tmp_path / "report")]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    page = (tmp_path / "report" / "index.html").read_text()
    assert any(name in page for name in NAMES.values())


def test_pickles_are_read_without_running_and_code_beside_the_weights_never_runs(
    transformers: Any, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    folder = tmp_path / "net"
    model = save(transformers, "ViT", folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(
        {"beside": Payload(), **{name: one.half() for name, one in tensors.items()}}, folder / "pytorch_model.bin"
    )
    values = json.loads((folder / "config.json").read_text())
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    spoiled = {"auto_map": {"AutoModelForImageClassification": "code.Net"}, "attn_implementation": "someone/kernel"}
    (folder / "config.json").write_text(json.dumps(values | spoiled))
    loaded = uc.load_model(f"hf:{folder}")
    assert "float16 of the file taken as float32" in loaded.notes
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(images).logits, model(images).logits, atol=1e-2, rtol=1e-2)
    for other in ({"model_type": "own"}, {"architectures": ["OwnNet"]}, {"architectures": ["Trainer"]}):
        (folder / "config.json").write_text(json.dumps(values | spoiled | other))
        with pytest.raises(ModelError, match="code beside the weights is not run"):
            uc.load_model(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_and_networks_of_text_are_refused(transformers: Any, tmp_path: Path) -> None:
    save(transformers, "ViT", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({**tensors, "criterion.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    assert uc.load_model(f"hf:{tmp_path}").notes == ("1 other tensor of the file not taken: criterion.weight",)
    tensors.pop("classifier.weight")
    save_file({**tensors, "classifier.bias": torch.ones(5)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"1 missing \(classifier.weight\), 1 of another shape \(classifier.bias"):
        uc.load_model(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").unlink()
    assert uc.trace(f"hf:{tmp_path}").macs
    with pytest.raises(ModelError, match=r"the folder has no weights \(model.safetensors\)"):
        uc.load_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(ModelError, match="BertModel takes input_ids, not pictures alone"):
        uc.trace(f"hf:{tmp_path}")


def test_without_a_processor_the_transform_is_assumed_and_said(transformers: Any, tmp_path: Path) -> None:
    save(transformers, "ViT", tmp_path)
    shutil.move(tmp_path / "preprocessor_config.json", tmp_path / "elsewhere.json")
    loaded = uc.load_model(f"hf:{tmp_path}")
    assert loaded.input_size == (3, 32, 32)
    assert loaded.notes[0].startswith("no preprocessor_config.json tells the picture transform: resized covering 32x32")
