"""Makes the dictionaries that come with the package: ``python tools/make_dictionaries.py``.

Photographs that scikit-image carries and that anybody may redistribute (licences in ``shipped/README.md``), at
half their size, without their slow part; 64 kernels 8×8 with zero mean, learned in batch from patches, seed 0.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.sparse.learn.dictionaries import FOLDER, SHIPPED, save_dictionary

COLOUR = ("astronaut", "chelsea", "coffee", "rocket")
GREY = (*COLOUR, "camera", "brick", "grass", "gravel")
STRENGTH = 5.0
PENALTY = 0.1
ROUNDS = 60


def photographs(names: tuple[str, ...], mode: str) -> list[Tensor]:
    """Photographs at half their size, (C, H, W) each."""
    import skimage

    from unconv.data.images import read_images

    folder = Path(skimage.__file__).parent / "data"
    pictures = []
    for name in names:
        (file,) = folder.glob(f"{name}.*g")
        picture = read_images(file, mode="grey" if mode == "grey" else "rgb")[0].tensor
        pictures.append(F.avg_pool2d(picture[None], 2)[0])
    return pictures


def learn(names: tuple[str, ...], mode: str) -> tuple[Tensor, dict[str, object]]:
    """The dictionary of some photographs, most used kernels first, and what to write beside it."""
    learner = DictionaryLearner(
        n_kernels=64,
        kernel_size=8,
        penalty=PENALTY,
        constraint="zero_mean",
        init="patches",
        max_iter=ROUNDS,
        tol=1e-4,
        random_state=0,
        low_pass=STRENGTH,
    )
    start = time.perf_counter()
    learner.fit(photographs(names, mode))
    print(f"{mode}: {learner.n_iter_} rounds, {time.perf_counter() - start:.0f} s, {learner.history_[-1]}")
    order = learner.kernel_use_.argsort(descending=True, stable=True)
    about: dict[str, object] = {
        "photographs": list(names),
        "made by": "tools/make_dictionaries.py",
        "penalty": PENALTY,
        "low-pass strength": STRENGTH,
        "rounds": learner.n_iter_,
        "use": learner.kernel_use_[order].tolist(),
    }
    return learner.dictionary_[order].contiguous(), about


def main() -> None:
    """Learn both, and write them where load_dictionary looks."""
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    for channels, names, mode in ((1, GREY, "grey"), (3, COLOUR, "colour")):
        dictionary, about = learn(names, mode)
        print(save_dictionary(dictionary, FOLDER / f"{SHIPPED[channels]}.safetensors", about))


if __name__ == "__main__":
    main()
