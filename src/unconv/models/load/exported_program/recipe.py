"""``FILE.pt2``: the network of a program that torch.export saved, with the weights in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from unconv.errors import ModelError, one_line, printable
from unconv.models.load.exported_program.archive import AGAIN, read_archive
from unconv.models.load.exported_program.network import ExportedNetwork
from unconv.models.load.exported_program.program import read_program, trained
from unconv.models.load.from_file import assumed_preprocess
from unconv.models.load.recipe import Recipe, ready_made

TRAINED = "the program was exported in training mode: its batch norms use the batch; export model.eval() instead"


def exported_recipe(path: Path) -> Recipe:
    """Read a file of torch.export; its network has the names and the weights of the model that was exported.

    Nothing in the file is run: its graph is JSON, of which torch's operators alone are called, and of its pickles
    tensors alone are read. Raises ModelError, in one line that names file and member or node, for what is none or asks
    for more.
    """
    archive = read_archive(path)
    try:
        program = read_program(archive)
        module = ExportedNetwork(program)
    except ModelError:
        raise
    except Exception as error:
        # What is not where it should be, or of another kind, fails in any way.
        said = f"{type(error).__name__}: {one_line(error)}"
        raise ModelError(f"{archive.file}: its program is not in the form that is known ({said}); {AGAIN}") from error
    preprocess, assumed = assumed_preprocess(module)
    with suppress(ModelError):
        # Pictures of the size that the file has.
        sizes = module.input_sizes
        if len(sizes[0]) == 3:
            preprocess = preprocess.changed(sizes[0][1:], None, None)
    name = printable(path)
    recipe = ready_made(name, module, f"those of {name}", preprocess, assumed)
    return replace(recipe, notes=(TRAINED,)) if trained(program) else recipe
