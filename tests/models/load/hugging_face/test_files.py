"""Files of a folder or of a name on the hub; the download itself is replaced, its errors are its own."""

from __future__ import annotations

import re
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import errors

from unconv.errors import ModelError
from unconv.models.load.hugging_face import files
from unconv.models.load.hugging_face.files import Files, find_files


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "hf: no name after the colon; hf:microsoft/resnet-50 is one"),
        ("./nothing", "hf:./nothing: there is no such folder; give a folder that model.save_pretrained"),
        ("/no/such/folder", "there is no such folder"),
        ("two\nlines", r"hf:two\nlines: there is no such folder"),
        (__file__, "is a file; give the folder that it lies in"),
    ],
)
def test_what_is_no_folder_and_no_name_is_refused(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(said)):
        find_files(name)


def test_a_folder_is_taken_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet").mkdir()
    (tmp_path / "resnet" / "config.json").write_text("{}")
    monkeypatch.setattr(files, "hub_is_reachable", lambda: pytest.fail("a folder needs no hub"))
    found = find_files("resnet")
    assert found.find("config.json") == Path("resnet/config.json")
    assert found.find("model.safetensors") is None
    assert str(found.missing("config.json")).startswith("hf:resnet: the folder has no config.json")


def test_out_of_reach_the_cache_is_asked_and_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(files, "hub_is_reachable", lambda: False)
    found = find_files("nobody/nothing")
    assert found.find("config.json") is None
    assert re.search(r"no such folder, the hub is out of reach, and its cache", str(found.missing("config.json")))


def test_online_every_answer_of_the_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(error: Exception) -> Files:
        def download(name: str, file: str, local_files_only: bool) -> str:
            assert (name, file, local_files_only) == ("some/net", "config.json", False)
            raise error

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
        return Files("some/net", None, online=True)

    assert answer(errors.EntryNotFoundError("404")).find("config.json") is None
    for error, said in {
        errors.LocalEntryNotFoundError("gone\nmeanwhile"): "cannot be fetched from the hub (gone)",
        TimeoutError("timed out"): "cannot be fetched from the hub (timed out)",
        errors.HFValidationError("Repo id must be\nshorter"): "cannot be fetched from the hub (Repo id must be)",
    }.items():
        with pytest.raises(ModelError, match=re.escape(said)):
            answer(error).find("config.json")

    class Unknown(errors.RepositoryNotFoundError):
        def __init__(self) -> None:
            Exception.__init__(self, "401")

    with pytest.raises(ModelError, match="no such network on the hub that you may read"):
        answer(Unknown()).find("config.json")
