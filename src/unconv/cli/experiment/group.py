"""``unconv experiment``: the experiments of Zeiler & Fergus (2013) on any network, as numbers and as a figure."""

from __future__ import annotations

from unconv.cli.command import add_command, new_group
from unconv.cli.experiment import images as images, weights as weights

EXAMPLES = (
    "unconv experiment occlusion efficientnet-lite0 cat.jpg -o occlusion.png",
    "unconv experiment invariance efficientnet-lite0 cat.jpg --transform rotation",
    "unconv experiment first-layer torchvision:alexnet -o filters.png",
)

app = new_group("Experiments of Zeiler & Fergus (2013) on any network: numbers and figures.", EXAMPLES)
add_command(app, images.occlusion, images.OCCLUSION, renamed=images.OCCLUSION_RENAMED)
add_command(app, images.correspondence, images.CORRESPONDENCE)
add_command(app, images.invariance, images.INVARIANCE)
add_command(app, weights.evolution, weights.EVOLUTION, renamed=weights.EVOLUTION_RENAMED)
add_command(app, weights.first_layer, weights.FIRST_LAYER, name="first-layer")
add_command(app, weights.transfer, weights.TRANSFER, renamed=weights.TRANSFER_RENAMED)
