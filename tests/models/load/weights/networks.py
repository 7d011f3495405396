"""A small network that the tests of weight files save, and what loading comes to."""

from __future__ import annotations

import torch
from torch import nn

from unconv.models.load.weights.files import WeightsPath, read_weights
from unconv.models.load.weights.fit import fit_weights


class Net(nn.Module):
    """Convolution, norm, a classifier: parameters, buffers, a counter."""

    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def trained(classes=10):
    """One whose numbers differ from those of any other."""
    net = Net(classes)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.copy_(torch.randint(1, 100, tensor.shape))
    return net


def loaded(path, build=lambda classes: Net(classes or 10), rename=dict):
    """What a file's weights come to in a network of these names."""
    wanted = WeightsPath.read(path)
    return fit_weights(build, read_weights(wanted.path), rename, "weights", part=wanted.part, file=wanted.path.name)


def equal(first, second):
    """Whether two state dicts are the same, by name and value."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def prefixed(state, *prefixes):
    """A state dict with prefixes in front of its names, the outermost first."""
    return {"".join(f"{one}." for one in prefixes) + name: value for name, value in state.items()}
