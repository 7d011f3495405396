"""Nothing in a file of torch.export is run, wherever a payload stands; and every other fault is one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import unconv as uc
from tests.models.load.exported_program.programs import change, export
from unconv.errors import ModelError

WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
PROGRAM = "models/model.json"


class Net(nn.Module):
    """A convolution, a buffer, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("shift", torch.ones(4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.shift * torch.tensor([2.0])


class Payload:
    """A pickle of it makes a file where it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return export(Net(), tmp_path / "net.pt2", torch.zeros(1, 3, 8, 8))


def pickled(value: Any, by_torch: bool) -> bytes:
    if not by_torch:
        return pickle.dumps(value)
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def in_pickle(config: str, name: str, prefix: str) -> Any:
    """Makes the first tensor of a configuration a pickled member of a name."""

    def edit(content: Any) -> None:
        entry = next(iter(content["config"].values()))
        entry |= {"path_name": f"{prefix}{name}", "use_pickle": True}

    return {config: edit}


def test_nothing_pickled_is_run_in_any_member(tmp_path: Path, program: Path) -> None:
    marker = tmp_path / "ran"
    paths = []
    for place, (config, prefix) in enumerate(
        [
            *((WEIGHTS, "weight_"), (CONSTANTS, "tensor_"), (CONSTANTS, "custom_obj_"), (CONSTANTS, "opaque_obj_")),
            (WEIGHTS, "../constants/odd_"),
        ]
    ):
        for by_torch in (True, False):
            path = Path(shutil.copy(program, tmp_path / f"net{place}{by_torch}.pt2"))
            folder = config.rpartition("/")[0]
            member = {f"{folder}/{prefix}evil": pickled(Payload(marker), by_torch)}
            paths.append(change(path, in_pickle(config, "evil", prefix) | member))
    for by_torch in (True, False):
        path = Path(shutil.copy(program, tmp_path / f"inputs{by_torch}.pt2"))
        evil = pickled(Payload(marker), by_torch)
        members = ("data/sample_inputs/model.pt", "data/weights/model.pt", "data/constants/model.pt", "extra/evil.pkl")
        paths.append(change(path, dict.fromkeys(members, evil)))
    code = (
        "import sys, unconv as uc\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        print('read', uc.trace(path).macs)\n"
        "    except uc.UnconvError as error:\n"
        "        print('refused', error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert not marker.exists()
    assert len(lines) == len(paths)
    assert all("nothing of it is run" in line for line in lines[:10]), ran.stdout
    # Example inputs and members of other forms are not looked at.
    assert all(line.startswith("read") for line in lines[10:]), ran.stdout
    pickle.loads(pickled(Payload(marker), by_torch=False))
    assert marker.exists()


def test_no_text_of_the_program_is_evaluated(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = f"__import__('os').system('touch {marker}')"
    shapes = {"dynamic_shapes": ({2: torch.export.Dim.AUTO},)}
    path = export(Net(), tmp_path / "net.pt2", torch.zeros(1, 3, 8, 8), **shapes)

    def spoil(content: Any) -> None:
        content["guards_code"] = [evil]
        content["range_constraints"] = {evil: {"min_val": 1, "max_val": 9}}
        module = content["graph_module"]
        module["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, {"type": evil, "context": evil}])
        for meta in module["graph"]["tensor_values"].values():
            for size in (*meta["sizes"], *meta["strides"]):
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = evil
        for node in module["graph"]["nodes"]:
            node["metadata"] = {"nn_module_stack": f"{evil},{evil},{evil}", "source_fn_stack": evil, "torch_fn": evil}

    change(path, {PROGRAM: spoil})
    assert uc.trace(str(path)).macs == uc.trace(Net(), (3, 8, 8)).macs
    assert uc.trace(str(path), (3, 12, 8)).layers[0].output_shape == (4, 10, 6)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("os.system", "os.system is none of torch's operators"),
        ("builtins.eval", "is none of torch's operators"),
        ("_operator.attrgetter", "is none of torch's operators"),
        ("torch.ops.aten.from_file.default", "is not called for a file"),
        ("torch.ops.aten.save.default", "is not called for a file"),
        ("torch.ops.aten.manual_seed.default", "is not called for a file"),
        ("torch.ops.aten.set_grad_enabled.default", "is not called for a file"),
        ("torch.ops.aten._cudnn_init_dropout_state.default", "is not called for a file"),
        ("torch.ops.aten.__class__.mro", "is none of torch's operators"),
        ("torch.ops.torchvision.deform_conv2d.default", "is none of torch's operators"),
        ("torch.ops.higher_order.wrap_with_set_grad_enabled", "holds a program of its own"),
        ("torch.load", "is none of torch's operators"),
        ("torch.ops.aten.relu.default", "is not in the form that is known"),
    ],
)
def test_only_operators_of_torch_on_tensors_and_numbers_are_called(program: Path, target: str, said: str) -> None:
    def rename(content: Any) -> None:
        content["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(ModelError, match=said):
        uc.trace(str(change(program, {PROGRAM: rename})))


def test_tensors_that_are_pickled_are_read(program: Path) -> None:
    weight = torch.randn(4, 3, 3, 3)
    changes = in_pickle(WEIGHTS, "0", "weight_") | {"data/weights/weight_0": pickled(weight, by_torch=True)}
    network = uc.load_model(str(change(program, changes))).module
    assert torch.equal(network.get_parameter("conv.weight"), weight)


def test_weights_in_one_pickle_are_read_as_older_files_have_them(tmp_path: Path) -> None:
    model = Net()
    path = export(model, tmp_path / "net.pt2", torch.zeros(1, 3, 8, 8))
    program = torch.export.export(model, (torch.zeros(1, 3, 8, 8),))
    older = {
        WEIGHTS: None,
        "data/weights/model.pt": pickled(program.state_dict, by_torch=True),
        CONSTANTS: None,
        "data/constants/model.pt": pickled(dict(program.constants), by_torch=True),
    }
    image = torch.randn(2, 3, 8, 8)
    network = uc.load_model(str(change(path, older))).module
    torch.testing.assert_close(network(image), model(image))
    assert len(list(network.parameters())) == 2
    marker = tmp_path / "ran"
    for by_torch in (True, False):
        change(path, {"data/weights/model.pt": pickled({"conv.weight": Payload(marker)}, by_torch)})
        with pytest.raises(
            ModelError, match=r"data/weights/model\.pt is pickled, and no tensors by name \(posix\.system\)"
        ):
            uc.load_model(str(path))
    assert not marker.exists()


def test_what_is_no_program_is_refused_in_a_line(tmp_path: Path, program: Path) -> None:
    with pytest.raises(ModelError, match=r"no such file; name a file of torch\.export"):
        uc.trace(f"{tmp_path}/nothing.pt2")
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(ModelError, match=r"is no archive of torch\.export, or a damaged one"):
        uc.trace(f"{tmp_path}/text.pt2")
    content = program.read_bytes()
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"is no archive of torch\.export, or a damaged one"):
        uc.trace(str(cut))
    for changes, said in (
        ({PROGRAM: None}, "holds no program in the form that is known"),
        ({"models/other.json": b"{}"}, "holds 2 programs"),
        ({"data/aotinductor/model/net.so": b""}, "holds compiled code, which is not run"),
        ({WEIGHTS: None}, "has no data/weights/model_weights_config.json"),
        ({"data/weights/weight_0": b"\0\0\0"}, "damaged one"),
        ({"byteorder": b"big"}, "big-endian"),
        ({PROGRAM: lambda content: content["schema_version"].update(major=7)}, "its schema has version 7, 8 is known"),
    ):
        program.write_bytes(content)
        with pytest.raises(ModelError, match=said):
            uc.trace(str(change(program, changes)))


GRAPH = ("graph_module", "graph")
CONV_STRIDE = (*GRAPH, "nodes", 0, "inputs", 0, "arg")


@pytest.mark.parametrize("place", [(), ("graph_module",), GRAPH, (*GRAPH, "nodes", 0), CONV_STRIDE])
def test_whatever_is_missing_from_the_program_is_one_line(program: Path, place: tuple[Any, ...]) -> None:
    content = program.read_bytes()

    def inside(whole: Any) -> Any:
        for key in place:
            whole = whole[key]
        return whole

    keys: list[str] = []
    change(program, {PROGRAM: lambda whole: keys.extend(inside(whole))})
    for key in keys:
        for new in (None, 7, "word", []):
            program.write_bytes(content)
            change(program, {PROGRAM: lambda whole, key=key, new=new: inside(whole).update({key: new})})
            with suppress(ModelError):
                uc.load_model(str(program))
