"""Files of torch.export for tests: small programs, and their members changed."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


def export(model: nn.Module, path: Path, *inputs: torch.Tensor, training: bool = False, **options: Any) -> Path:
    """Write a model as torch.export does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model.train(training), inputs, **options)
        torch.export.save(program, path)
    model.eval()
    return path


def change(path: Path, changes: Mapping[str, bytes | Callable[[Any], Any] | None]) -> Path:
    """The file with members replaced, left out, added, or their JSON changed in place by a function."""
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    for name, new in changes.items():
        if callable(new):
            content = json.loads(members[name])
            new(content)
            members[name] = json.dumps(content).encode()
        elif new is None:
            del members[name]
        else:
            members[name] = new
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{folder}/{name}", content)
    return path
