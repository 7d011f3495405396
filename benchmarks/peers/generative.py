"""Networks of diffusers, transformers and spandrel: diffusion, autoencoders, sound, vocoders, super-resolution."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from benchmarks.peers.network import Network, pictures

SECOND = 16_000
LSTMS = "and two LSTMs of two layers: 30 steps · 4 · 512 · (512 + 512) each"


def networks() -> dict[str, Network]:
    """All of them, by ``package:name``."""
    return {
        **{f"diffusers:{name}": one for name, one in diffusion().items()},
        **{f"transformers:{name}": one for name, one in pretrained().items()},
        **{f"spandrel:{name}": one for name, one in super_resolution().items()},
    }


def made(module: str, kind: str, *given: Any, **settings: Any) -> Any:
    """Builds a network of a package, untrained."""

    def make() -> nn.Module:
        network: nn.Module = getattr(importlib.import_module(module), kind)(*given, **settings)
        return network

    return make


def diffusion() -> dict[str, Network]:
    """UNets and autoencoders of diffusers, in few channels."""
    levels: dict[str, Any] = {"block_out_channels": (32, 64), "layers_per_block": 1}
    down = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    crossed = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    coded = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (32, 64),
    }
    step = {"timestep": 10}
    volumes = {"down_block_types": ("DownBlock3D",) * 2, "up_block_types": ("UpBlock3D",) * 2}
    return {
        "UNet2DModel": Network(made("diffusers", "UNet2DModel", **levels, **down), pictures(64), arguments=step),
        "UNet2DConditionModel": Network(
            made("diffusers", "UNet2DConditionModel", **levels, **crossed, cross_attention_dim=32),
            ((4, 32, 32), (7, 32)),
            ("sample", "encoder_hidden_states"),
            step,
        ),
        "UNet3DConditionModel": Network(
            made("diffusers", "UNet3DConditionModel", **levels, **volumes, cross_attention_dim=32),
            ((4, 5, 32, 32), (7, 32)),
            ("sample", "encoder_hidden_states"),
            step,
        ),
        "AutoencoderKL": Network(made("diffusers", "AutoencoderKL", **coded), pictures(64)),
        "AsymmetricAutoencoderKL": Network(
            made(
                "diffusers",
                "AsymmetricAutoencoderKL",
                down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2,
                down_block_out_channels=(32, 64),
                up_block_out_channels=(32, 64),
            ),
            pictures(64),
        ),
        "AutoencoderTiny": Network(made("diffusers", "AutoencoderTiny"), pictures(64)),
        "VQModel": Network(made("diffusers", "VQModel", **coded), pictures(64)),
        "AutoencoderOobleck": Network(
            made(
                "diffusers", "AutoencoderOobleck", encoder_hidden_size=16, decoder_channels=16, decoder_input_channels=8
            ),
            ((2, 8192),),
        ),
    }


def pretrained() -> dict[str, Network]:
    """Networks of transformers for pictures and sound, by their default configuration or a small one."""
    return {
        "ConvNextModel": Network(configured("ConvNext"), pictures(224)),
        "SwinModel": Network(configured("Swin"), pictures(224)),
        "ResNetModel": Network(configured("ResNet"), pictures(224)),
        "MobileNetV2Model": Network(configured("MobileNetV2"), pictures(224)),
        "PoolFormerModel": Network(configured("PoolFormer"), pictures(224)),
        "SegformerForSemanticSegmentation": Network(configured("Segformer", "ForSemanticSegmentation"), pictures(256)),
        "ViTModel": Network(configured("ViT", num_hidden_layers=3), pictures(224)),
        "DPTForDepthEstimation": Network(
            configured("DPT", "ForDepthEstimation", num_hidden_layers=12, hidden_size=96, num_attention_heads=4),
            pictures(384),
        ),
        "Wav2Vec2Model": Network(configured("Wav2Vec2", num_hidden_layers=2), ((SECOND,),), axes="t"),
        "HubertModel": Network(configured("Hubert", num_hidden_layers=2), ((SECOND,),), axes="t"),
        "ASTModel": Network(configured("AST", num_hidden_layers=2), ((1024, 128),)),
        "WhisperEncoder": Network(whisper_encoder, ((80, 3000),)),
        "DacModel": Network(configured("Dac", encoder_hidden_size=16, decoder_hidden_size=128), ((1, 8192),)),
        "EncodecModel": Network(
            configured("Encodec"), ((1, 9600),), beside=2 * 2 * 30 * 4 * 512 * (512 + 512), formula=LSTMS
        ),
        "SpeechT5HifiGan": Network(configured("SpeechT5HifiGan", "", "SpeechT5HifiGanConfig"), ((50, 80),), axes="t c"),
        "Swin2SRForImageSuperResolution": Network(
            configured("Swin2SR", "ForImageSuperResolution", depths=[2, 2], num_heads=[2, 2], embed_dim=60),
            pictures(64),
        ),
    }


def configured(family: str, suffix: str = "Model", configuration: str = "", **settings: Any) -> Any:
    """Builds a network of transformers from its configuration, untrained."""

    def make() -> nn.Module:
        import transformers

        config = getattr(transformers, configuration or f"{family}Config")(**settings)
        network: nn.Module = getattr(transformers, family + suffix)(config)
        return network

    return make


def whisper_encoder() -> nn.Module:
    """The encoder of Whisper, two layers of it."""
    import transformers

    config = transformers.WhisperConfig(encoder_layers=2, decoder_layers=1)
    network: nn.Module = transformers.WhisperModel(config).encoder
    return network


def super_resolution() -> dict[str, Network]:
    """Networks that enlarge or restore pictures, of spandrel."""
    place = "spandrel.architectures"
    return {
        "RRDBNet (ESRGAN)": Network(made(f"{place}.ESRGAN.__arch.RRDB", "RRDBNet", num_blocks=3), pictures(64)),
        "HAT": Network(
            made(f"{place}.HAT", "HAT", window_size=8, depths=[1, 1], num_heads=[6, 6], embed_dim=36), pictures(64)
        ),
        "SwinIR": Network(
            made(f"{place}.SwinIR", "SwinIR", depths=[2, 2], num_heads=[6, 6], window_size=8, upscale=2),
            pictures(64),
        ),
        "SPAN": Network(made(f"{place}.SPAN", "SPAN", num_in_ch=3, num_out_ch=3), pictures(64)),
        "PLKSR": Network(made(f"{place}.PLKSR", "PLKSR"), pictures(64)),
        "OmniSR": Network(made(f"{place}.OmniSR", "OmniSR"), pictures(64)),
        "SAFMN": Network(made(f"{place}.SAFMN", "SAFMN", dim=36), pictures(64)),
        "NAFNet": Network(made(f"{place}.NAFNet", "NAFNet"), pictures(64)),
        "DnCNN": Network(made(f"{place}.DnCNN", "DnCNN"), pictures(64, 1)),
        "DRUNet": Network(made(f"{place}.DRUNet", "DRUNet"), pictures(64, 1)),
        "SCUNet": Network(made(f"{place}.SCUNet", "SCUNet", config=[1] * 7), pictures(64)),
        "RCAN": Network(made(f"{place}.RCAN", "RCAN", n_resgroups=2), pictures(48)),
        "LaMa": Network(made(f"{place}.LaMa", "LaMa", in_nc=4), ((3, 64, 64), (1, 64, 64))),
    }
