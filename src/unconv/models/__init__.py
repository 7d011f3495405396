"""Networks that torchvision lacks, one readable file each, and the way from a name to a network."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.models.alexnet import AlexNet as AlexNet
    from unconv.models.dcgan import Discriminator as Discriminator, Generator as Generator
    from unconv.models.efficientnet_lite import EfficientNetLite0 as EfficientNetLite0
    from unconv.models.factorized import FactorizedNet as FactorizedNet
    from unconv.models.fcn import FCN as FCN
    from unconv.models.fcn_on import FCNOn as FCNOn
    from unconv.models.lenet5 import LeNet5 as LeNet5
    from unconv.models.load.open_model import OpenedModel as OpenedModel, open_model as open_model
    from unconv.models.load.preprocess import Preprocess as Preprocess
    from unconv.models.load.resolve import (
        LoadedModel as LoadedModel,
        list_models as list_models,
        load_model as load_model,
    )
    from unconv.models.structure.list_layers import LayerList as LayerList, list_layers as list_layers
    from unconv.models.unet import UNet as UNet
    from unconv.models.zfnet import ZFNet as ZFNet
    from unconv.models.zfnet28 import ZFNet28 as ZFNet28

_HOME = {
    "AlexNet": "unconv.models.alexnet",
    "Generator": "unconv.models.dcgan",
    "Discriminator": "unconv.models.dcgan",
    "EfficientNetLite0": "unconv.models.efficientnet_lite",
    "FactorizedNet": "unconv.models.factorized",
    "FCN": "unconv.models.fcn",
    "FCNOn": "unconv.models.fcn_on",
    "LeNet5": "unconv.models.lenet5",
    "UNet": "unconv.models.unet",
    "ZFNet": "unconv.models.zfnet",
    "ZFNet28": "unconv.models.zfnet28",
    "LoadedModel": "unconv.models.load.resolve",
    "load_model": "unconv.models.load.resolve",
    "list_models": "unconv.models.load.resolve",
    "open_model": "unconv.models.load.open_model",
    "OpenedModel": "unconv.models.load.open_model",
    "list_layers": "unconv.models.structure.list_layers",
    "LayerList": "unconv.models.structure.list_layers",
    "Preprocess": "unconv.models.load.preprocess",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)
