"""Files of a published network: of a folder, or of a name on the Hugging Face hub, fetched when they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from unconv.errors import MissingExtraError, ModelError, one_line, printable
from unconv.models.load.hugging_face.hub import hub_is_reachable

# Names on the hub: owner/network, a few old ones without an owner.
HUB_NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
WRITTEN = "a folder that model.save_pretrained(FOLDER) wrote"


@dataclass(frozen=True)
class Files:
    """Where the files of one network are.

    Attributes:
        name: as the user wrote it, behind the colon.
        folder: the folder that it is, None for a name on the hub.
        online: whether the hub is asked; else its local cache alone.
    """

    name: str
    folder: Path | None
    online: bool = False

    def find(self, file: str) -> Path | None:
        """One file, None where there is none; raises ModelError where the hub refuses."""
        if self.folder is not None:
            path = self.folder / file
            return path if path.is_file() else None
        import huggingface_hub
        from huggingface_hub import errors

        try:
            return Path(huggingface_hub.hf_hub_download(self.name, file, local_files_only=not self.online))
        except errors.LocalEntryNotFoundError as error:
            if self.online:
                raise self._refused(error) from error
            return None
        except errors.EntryNotFoundError:
            return None
        except errors.RepositoryNotFoundError as error:
            raise ModelError(
                f"hf:{self.name}: there is no such folder, and no such network on the hub that you may read; "
                f"give {WRITTEN}, or log in: hf auth login"
            ) from error
        except Exception as error:
            # The hub's client and its HTTP library raise errors of many families.
            raise self._refused(error) from error

    def missing(self, file: str) -> ModelError:
        """What to say where a file is needed and is not there."""
        if self.folder is not None:
            return ModelError(f"hf:{printable(self.name)}: the folder has no {file}; give {WRITTEN}")
        if self.online:
            return ModelError(f"hf:{self.name}: has no {file} on the hub; give the name of a network of transformers")
        return ModelError(
            f"hf:{self.name}: there is no such folder, the hub is out of reach, and its cache here has no {file} of "
            f"that name; give {WRITTEN}"
        )

    def _refused(self, error: Exception) -> ModelError:
        return ModelError(f"hf:{self.name}: cannot be fetched from the hub ({one_line(error)}); give {WRITTEN}")


def find_files(name: str) -> Files:
    """The files of a folder, or of a name on the hub where there is no such folder.

    Raises ModelError for what is neither, MissingExtraError where the hub's client is not installed.

    >>> find_files("./nothing/here")
    Traceback (most recent call last):
    unconv.errors.ModelError: hf:./nothing/here: there is no such folder; give a folder that ... wrote
    """
    if not name:
        raise ModelError("hf: no name after the colon; hf:microsoft/resnet-50 is one, hf:FOLDER another")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Files(name, folder)
    if folder.exists():
        raise ModelError(f"hf:{printable(name)}: is a file; give the folder that it lies in")
    if not HUB_NAME.fullmatch(name) or name.startswith(".") or "--" in name or ".." in name:
        raise ModelError(f"hf:{printable(name)}: there is no such folder; give {WRITTEN}")
    try:
        online = hub_is_reachable()
    except ImportError as error:
        raise MissingExtraError("hf:NAME", "transformers") from error
    return Files(name, None, online)
