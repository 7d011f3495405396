"""Weights with weight_norm or spectral_norm load whichever of torch's spellings the file and the network have."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from tests.models.load.weights.networks import loaded

SPELLINGS = {
    "weight_norm": (nn.utils.weight_norm, parametrizations.weight_norm),
    "spectral_norm": (nn.utils.spectral_norm, parametrizations.spectral_norm),
}


def network(norm):
    net = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), norm(nn.Conv2d(4, 2, 3)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand(parameter.shape))
    # Once in training mode, so that vectors of the norm are those of the weights.
    net(torch.rand(1, 3, 8, 8))
    return net.eval()


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm:FutureWarning")
@pytest.mark.parametrize("norm", SPELLINGS)
@pytest.mark.parametrize("saved", [0, 1])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_either_spelling_loads_into_either(tmp_path, norm, saved, prefix):
    net, other = network(SPELLINGS[norm][saved]), SPELLINGS[norm][1 - saved]
    torch.save({"model": {prefix + name: tensor for name, tensor in net.state_dict().items()}}, tmp_path / "net.pt")
    module, notes = loaded(tmp_path / "net.pt", lambda _: network(other))
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(module.eval()(image), net(image))
    assert "names of its tensors translated to the network's" in notes
