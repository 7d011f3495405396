"""Nothing that a weight file names is imported, called or changed, wherever in the file it hides."""

from __future__ import annotations

import argparse
import contextlib
import copyreg
import importlib
import io
import operator
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from unconv.errors import ModelError
from unconv.models.load.weights.files import read_weights
from unconv.models.load.weights.inert_pickle import InertPickle

# A module that leaves a trace when it is imported, when an object of it is made and when one is given its state.
TRAP = """
from pathlib import Path

Path(MARKER + ".import").touch()


class Trap:
    def __new__(cls, *args, **kwargs):
        Path(MARKER + ".new").touch()
        return super().__new__(cls)

    def __setstate__(self, state):
        Path(MARKER + ".setstate").touch()

    def __setitem__(self, key, value):
        Path(MARKER + ".setitem").touch()

    def extend(self, items):
        Path(MARKER + ".extend").touch()
"""


class Call:
    """Pickled as a call."""

    def __init__(self, function, *arguments, **more):
        self.function, self.arguments, self.more = function, arguments, more

    def __reduce__(self):
        return (self.function, self.arguments, *self.more.get("rest", ()))

    def __call__(self):
        """A function for pickle, which asks whether it is one."""


def touch(marker):
    return f"open({str(marker)!r}, 'w').close()"


def calls(marker):
    """Objects whose unpickling makes a file, by where the call stands."""
    run = Call(os.system, f"touch {marker}")
    return {
        "system": run,
        "exec": Call(exec, touch(marker)),
        "eval": Call(eval, touch(marker)),
        "getattr": Call(Call(getattr, Call(importlib.import_module, "os"), "system"), f"touch {marker}"),
        "attrgetter": Call(Call(operator.attrgetter("system"), Call(importlib.import_module, "os")), f"touch {marker}"),
        "popen": Call(subprocess.call, ["touch", str(marker)]),
        "in a list": [1, [run]],
        "as a key": {run: 1},
        "in a set": {run},
        "as a state": Call(argparse.Namespace, rest=(run,)),
        "as an entry": Call(list, rest=(None, iter([run]))),
        "as a pair": Call(dict, rest=(None, None, iter([("a", run)]))),
        "in a rebuilt parameter": Call(torch._utils._rebuild_parameter, torch.zeros(1), False, run),
        "of a tensor's type": Call(torch._tensor._rebuild_from_type_v2, os.system, None, (f"touch {marker}",), {}),
        "as a storage's content": Call(torch.storage._load_from_bytes, pickle.dumps(run)),
        "as a storage": Call(torch._utils._rebuild_tensor_v2, run, 0, (1,), (1,), False, {}),
        "in an instance": Raw(f"(S'touch {marker}'\nios\nsystem\n."),
        "in an object": Raw(f"(cos\nsystem\nS'touch {marker}'\no."),
        "under Python 2's name": Raw(f"c__builtin__\nexec\n(S{touch(marker)!r}\ntR."),
        "by a name with dots": Raw(f"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch {marker}'\ntR."),
    }


class Raw:
    """A pickle as it is written."""

    def __init__(self, text):
        self.content = text.encode("latin-1")


def write(value, path, form):
    if isinstance(value, Raw):
        path.write_bytes(value.content)
    elif form == "zip":
        torch.save({"payload": value, "fc.bias": torch.zeros(2)}, path)
    elif form == "legacy":
        torch.save([value], path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps({"payload": value}, 4))


READ = """
import sys, warnings
from pathlib import Path
from unconv.errors import ModelError
from unconv.models.load.weights.files import read_weights

for path in sorted(Path(sys.argv[1]).glob("*.pt")):
    try:
        read_weights(path)
    except ModelError:
        pass
print("read")
"""

# What the same files do where they are unpickled.
UNPICKLE = """
import contextlib, pickle, sys, warnings
from pathlib import Path
import torch

warnings.simplefilter("ignore")
for path in sorted(Path(sys.argv[1]).glob("*.pt")):
    for load in (lambda: torch.load(path, weights_only=False), lambda: pickle.loads(path.read_bytes())):
        with contextlib.suppress(Exception):
            load()
"""


def run(script, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, env=environment, cwd=folder
    )
    return done.stdout.strip() or done.stderr


def traps(folder):
    """Pickles of objects of a module beside them, which is not imported where they are made."""
    (folder / "trap.py").write_text(f"MARKER = {str(folder / 'trap')!r}\n{TRAP}")
    (folder / "trap 1.pt").write_bytes(b"\x80\x02ctrap\nTrap\n)\x81}(X\x01\x00\x00\x00aK\x01ub.")
    (folder / "trap 2.pt").write_bytes(b"\x80\x04\x8c\x04trap\x8c\x04Trap\x93)}\x92(K\x01e(K\x01K\x02u}b.")
    (folder / "trap 3.pt").write_bytes(b"(itrap\nTrap\n(dp0\nb.")


def payloads(folder):
    """Files with a call in them, each of which would make a file of its own number."""
    folder.mkdir()
    traps(folder)
    names = list(calls(folder))
    for number, name in enumerate(names):
        value = calls(folder / f"ran-{number}")[name]
        for form in ("zip", "legacy", "pickle"):
            write(value, folder / f"{number} {form}.pt", form)
    return names


def made(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".pt", ".py") and path.is_file())


def test_a_payload_is_never_run_wherever_it_hides(tmp_path):
    names = payloads(tmp_path / "read")
    assert run(READ, tmp_path / "read") == "read"
    assert made(tmp_path / "read") == []
    payloads(tmp_path / "unpickled")
    run(UNPICKLE, tmp_path / "unpickled")
    there = made(tmp_path / "unpickled")
    assert [name for number, name in enumerate(names) if f"ran-{number}" not in there] == []
    assert {"trap.import", "trap.new", "trap.setstate"} <= set(there)


def read(text):
    return InertPickle({}).load(io.BytesIO(text.encode("latin-1")))


def in_zip(path, pickled):
    """A file of torch with a pickle of one's own in it."""
    torch.save({"fc.bias": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else content)


@pytest.mark.parametrize(
    "place",
    [
        "(S'storage'\ncos\nsystem\n(S'touch ran'\ntRS'0'\nS'cpu'\nK\x02tQ.",  # a call for the type of a storage
        "cos\nsystem\n(S'touch ran'\ntRQ.",  # a call for the whole place
        "(S'storage'\n(S'storage'\nc__builtin__\neval\nS'0'\nS'cpu'\nK\x02tQS'0'\nS'cpu'\nK\x02tQ.",  # a place in one
        "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nJ\xff\xff\xff\xfftQ.",  # a length below zero
        "Pplace\n.",
    ],
)
def test_persistent_ids_are_places_of_storages_or_nothing(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    in_zip(tmp_path / "weights.pt", place.encode("latin-1"))
    with pytest.raises(ModelError, match="is no weights file"):
        read_weights(tmp_path / "weights.pt")
    assert not (tmp_path / "ran").exists()


def test_a_module_with_its_source_is_not_compared_with_what_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nn.Linear, "dump_patches", True)
    content = io.BytesIO()
    torch.save({"fc.bias": torch.zeros(2)}, content, _use_new_zipfile_serialization=False)
    tensors = content.getvalue()
    # Number, version, system; then a class by its place (module, class, file, source).
    module = b"\x80\x02(S'module'\nctorch.nn.modules.linear\nLinear\nS'net.py'\nS'other source'\ntQ."
    begin = tensors.rindex(b"\x80\x02}", 0, tensors.index(b"fc.bias"))
    (tmp_path / "old.pt").write_bytes(tensors[:begin] + module + pickle.dumps([], 2))
    with pytest.raises(ModelError, match="no tensors by name"):
        read_weights(tmp_path / "old.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["old.pt"]


def test_what_may_be_called_cannot_be_changed():
    makers = (
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ccollections\nOrderedDict\n",
        "ctorch\nSize\n",
        "ctorch\nfloat16\n",
    )
    before = [vars(torch._utils._rebuild_tensor_v2).copy(), torch._utils._rebuild_tensor_v2.__defaults__]
    for maker in makers:
        read(f"{maker}(N(S'__defaults__'\n(K\x01tS'spoiled'\nK\x01dtb.")
        for entries in ("S'a'\nK\x01s.", "K\x01a.", "(K\x01K\x02e."):
            with pytest.raises(pickle.UnpicklingError):
                read(maker + entries)
    assert before == [vars(torch._utils._rebuild_tensor_v2), torch._utils._rebuild_tensor_v2.__defaults__]
    assert not hasattr(torch.Size, "spoiled")


def test_a_codec_is_not_imported():
    sys.modules.pop("encodings.rot_13", None)
    with pytest.raises(pickle.UnpicklingError, match="encoding"):
        read("c_codecs\nencode\n(Va\nS'rot13'\ntR.")
    assert "encodings.rot_13" not in sys.modules
    assert read("c_codecs\nencode\n(V\xe9\nS'latin1'\ntR.") == b"\xe9"


def test_extension_codes_of_the_process_are_not_looked_up():
    copyreg.add_extension("os", "system", 0xEE)
    try:
        with pytest.raises(pickle.UnpicklingError, match="extension"):
            read("\x80\x02\x82\xee(S'touch ran'\ntR.")
    finally:
        copyreg.remove_extension("os", "system", 0xEE)


class Scripted(nn.Module):
    """Writes a file when TorchScript makes it anew."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    @torch.jit.export
    def __getstate__(self):
        return (self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.weight = state[0]
        self.training = state[1]
        torch.save(self.weight, "ran")


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_code_in_torchscript_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.jit.script(Scripted()).save("net.pt")
    with pytest.raises(ModelError, match="no tensors by name in it"):
        read_weights(Path("net.pt"))
    assert not Path("ran").exists()
    torch.jit.load("net.pt")
    assert Path("ran").exists()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inside: (
        st.lists(inside)
        | st.lists(inside).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inside)
        | st.sets(st.integers())
    ),
)


@settings(max_examples=60)
@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol):
    content = pickle.dumps(value, protocol)
    assert InertPickle({}).load(io.BytesIO(content)) == pickle.loads(content)


@settings(max_examples=60)
@given(content=st.binary(max_size=60))
def test_any_bytes_import_nothing(content):
    before = set(sys.modules)
    with contextlib.suppress(Exception):
        InertPickle({}).load(io.BytesIO(content))
    assert set(sys.modules) == before
