"""Weight files by their formats: what each holds, and what is refused for being none."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from tests.models.load.weights.networks import equal, loaded, prefixed, trained
from unconv.errors import ModelError
from unconv.models.load.weights.files import read_state_dict, read_weights


@pytest.mark.parametrize("prefix", [(), ("module",), ("model", "net")])
def test_safetensors_with_and_without_shared_tensors(tmp_path, prefix):
    net = trained()
    safetensors.torch.save_file(prefixed(net.state_dict(), *prefix), tmp_path / "a.safetensors")
    assert equal(loaded(tmp_path / "a.safetensors").module.state_dict(), net.state_dict())


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(3, 3), nn.Linear(3, 3)
        self.up.weight = self.down.weight


def test_a_shared_tensor_is_saved_once_by_safetensors(tmp_path):
    tied = Tied()
    safetensors.torch.save_model(tied, str(tmp_path / "tied.safetensors"))
    assert len(safetensors.torch.load_file(tmp_path / "tied.safetensors")) == len(tied.state_dict()) - 1
    fitted = loaded(tmp_path / "tied.safetensors", lambda _: Tied())
    assert equal(fitted.module.state_dict(), tied.state_dict())


def in_shards(state, folder, stem, suffix, write):
    names, index = list(state), {}
    for number, part in enumerate((names[:3], names[3:]), start=1):
        file = f"{stem}-{number:05}-of-00002{suffix}"
        write({name: state[name] for name in part}, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))


@pytest.mark.parametrize(
    ("stem", "suffix", "write"),
    [
        ("model", ".safetensors", safetensors.torch.save_file),
        ("diffusion_pytorch_model", ".safetensors", safetensors.torch.save_file),
        ("pytorch_model", ".bin", torch.save),
    ],
)
@pytest.mark.parametrize("given", ["index", "folder"])
def test_shards_are_read_by_their_index_or_folder(tmp_path, stem, suffix, write, given):
    net = trained()
    in_shards(net.state_dict(), tmp_path, stem, suffix, write)
    (tmp_path / "config.json").write_text("{}")
    fitted = loaded(tmp_path / f"{stem}{suffix}.index.json" if given == "index" else tmp_path)
    assert equal(fitted.module.state_dict(), net.state_dict())
    assert "read from 2 files" in fitted.notes


def test_a_folder_with_one_file_of_weights(tmp_path):
    net = trained()
    torch.save(net.state_dict(), tmp_path / "last.pth")
    assert equal(loaded(tmp_path).module.state_dict(), net.state_dict())


STORAGES = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}


def torch_0_1(state, path):
    """A tar of storages, tensors and the objects around them, as torch wrote before its version 0.1.10."""
    storages, tensors, objects = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pickle.dump(len(state), storages, 2)
    pickle.dump(len(state), tensors, 2)
    for number, tensor in enumerate(state.values()):
        pickle.dump((number, "cpu", STORAGES[tensor.dtype]), storages, 2)
        storages.write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
        pickle.dump((100 + number, number, torch.FloatTensor), tensors, 2)
        tensors.write(struct.pack(f"<ii{tensor.dim()}q", tensor.dim(), 0, *tensor.shape))
        tensors.write(struct.pack(f"<{tensor.dim()}qq", *tensor.stride(), 0))
    pickle.dump([], storages, 2)
    numbers = {id(tensor): str(100 + number) for number, tensor in enumerate(state.values())}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return numbers.get(id(value))

    Pickler(objects, 2).dump(state)
    with tarfile.open(path, "w") as archive:
        for name, content in (("storages", storages), ("tensors", tensors), ("pickle", objects)):
            member = tarfile.TarInfo(name)
            member.size = content.tell()
            content.seek(0)
            archive.addfile(member, content)


def test_the_tar_of_torch_0_1(tmp_path):
    net = trained()
    state = dict(net.state_dict())
    torch_0_1(state, tmp_path / "old.pth.tar")
    assert equal(torch.load(tmp_path / "old.pth.tar", weights_only=False), state)
    assert equal(loaded(tmp_path / "old.pth.tar").module.state_dict(), net.state_dict())


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(1, 1, 8, 8))])
def test_an_archive_of_torchscript_gives_its_tensors_and_runs_nothing(tmp_path, make):
    net = trained().eval()
    make(net).save(tmp_path / "net.pt")
    fitted = loaded(tmp_path / "net.pt")
    assert equal(fitted.module.state_dict(), net.state_dict())
    assert any("its code is not run" in note for note in fitted.notes)


class Surprise:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("run",))


def zipped(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"")

    return write


def linked(path):
    """A tar archive of torch's members, one of which leads to another file."""
    with tarfile.open(path, "w") as archive:
        for name in ("tensors", "pickle", "storages"):
            member = tarfile.TarInfo(name)
            if name == "storages":
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda _: None, "there is no such file"),
        (lambda path: path.mkdir(), "is a folder, with 0 files of weights"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("no weights here"), "is no weights file"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "is no weights file"),
        (lambda path: path.write_bytes(bytes(1024)), "is no weights file"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "is cut off"),
        (lambda path: path.write_bytes(b"\x10\0\0\0\0\0\0\0{" + bytes(100)), "cannot be read: not a safetensors"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull"),
        (lambda path: path.write_text("<!DOCTYPE html><title>Sign in</title>"), "is a web page"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "is an HDF5 file"),
        (lambda path: path.write_bytes(b"\x1f\x8b\x08\0"), "is packed by gzip"),
        (lambda path: path.write_text("{}"), "no index of weights"),
        (lambda path: path.write_text('{"weight_map": {"fc.bias": "../other.bin"}}'), "is not beside it"),
        (lambda path: path.write_text('{"weight_map": {"fc.bias": "other.bin"}}'), "of which other.bin is not there"),
        (zipped("n/models/model.json"), "is a program of torch.export"),
        (zipped("weight.npy"), "is an archive of numpy"),
        (zipped("config.json", "model.weights.h5"), "is a Keras archive"),
        (zipped("last.pt"), "unpack it"),
        (linked, "is a tar archive; unpack it"),
        (lambda path: path.write_bytes(pickle.dumps(Surprise())), r"neither imported nor run: builtins\.print"),
        (lambda path: torch.save(Surprise(), path), r"neither imported nor run: builtins\.print"),
        (lambda path: torch.save({"epoch": 3}, path), "no tensors by name"),
        (lambda path: torch.save([torch.zeros(3)], path), "no tensors by name"),
        (lambda path: torch.save(torch.zeros(3), path), "no tensors by name"),
        (lambda path: torch.save({"state_dict": {}}, path), "no tensors by name"),
        (lambda path: torch.save({"a": {str(n): n for n in range(3)}}, path), "no tensors by name"),
    ],
)
def test_what_is_no_file_of_tensors_is_refused_in_one_line(tmp_path, make, rule, capsys):
    make(tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=rule) as caught:
        read_weights(tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)
    assert "weights.pth" in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("save", [torch.save, lambda *two: torch.save(*two, _use_new_zipfile_serialization=False)])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, save, part):
    path = tmp_path / "weights.pth"
    save(trained().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelError, match=r"cut off|cannot be read|damaged"):
        read_weights(path)


def test_a_mapping_that_holds_itself_is_gone_into_once(tmp_path):
    state = {"fc.bias": torch.zeros(2)}
    state["again"] = {"inner": state}
    torch.save(state, tmp_path / "round.pt")
    assert list(read_weights(tmp_path / "round.pt").tensors) == ["fc.bias"]


def test_a_mapping_in_itself_many_times_over_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("unconv.models.load.weights.contents.MOST_OBJECTS", 1000)
    state = {"fc.bias": torch.zeros(2)}
    for _ in range(50):
        state = {"one": state, "other": state}
    torch.save(state, tmp_path / "many.pt")
    with pytest.raises(ModelError, match="more than 1,000 objects by name"):
        read_weights(tmp_path / "many.pt")


def test_without_a_network_envelopes_and_wrappers_are_taken_off(tmp_path):
    state = nn.Linear(2, 1).state_dict()
    torch.save({"epoch": 3, "state_dict": prefixed(state, "module", "_orig_mod")}, tmp_path / "last.pt")
    assert equal(read_state_dict(tmp_path / "last.pt"), state)
    torch.save({"student": state, "teacher": state}, tmp_path / "two.pt")
    with pytest.raises(ModelError, match=r"holds 2 sets of tensors \(student, teacher\); say which: FILE:teacher"):
        read_state_dict(tmp_path / "two.pt")
    assert equal(read_state_dict(tmp_path / "two.pt:student"), state)


def test_a_home_folder_and_an_address(tmp_path, monkeypatch):
    torch.save(trained().state_dict(), tmp_path / "last.pt")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert loaded("~/last.pt").notes == ()
    with pytest.raises(ModelError, match="is an address, not a file; download it"):
        loaded("https://example.org/last.pt")


def test_a_colon_in_the_name_of_a_file(tmp_path):
    torch.save(trained().state_dict(), tmp_path / "run:ema")
    assert loaded(f"{tmp_path}/run:ema").notes == ()


@pytest.mark.parametrize("set_to", ["1", "true"])
def test_torchs_own_guard_is_kept_where_the_environment_asks_for_it(tmp_path, monkeypatch, set_to):
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", set_to)
    torch.save(trained().state_dict(), tmp_path / "plain.pt")
    assert loaded(tmp_path / "plain.pt").notes == ()
    torch.save(trained(), tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="torch refuses under TORCH_FORCE_WEIGHTS_ONLY_LOAD; unset it"):
        read_weights(tmp_path / "whole.pt")
