"""Loaders of torch whose pictures can be read again: those that go through a dataset from first to last."""

from __future__ import annotations

from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler, Subset, default_collate

from unconv.data.read.pictures import Entries, Pictures
from unconv.errors import ImageError


def pictures_in_order(loader: DataLoader[Any]) -> Pictures | None:
    """The pictures of a loader that goes through its dataset in order, read from the dataset, one by one.

    None where they have to be taken from its batches: those of an iterable dataset, batches that the dataset makes
    itself, and samples that a function of the user's own puts together. Raises :class:`~unconv.errors.ImageError` for
    loaders that shuffle or choose.

    >>> import torch
    >>> len(pictures_in_order(DataLoader(torch.rand(5, 3, 8, 8), batch_size=2, drop_last=True)))
    4
    """
    dataset, batches = loader.dataset, loader.batch_sampler
    if isinstance(dataset, IterableDataset):
        return None
    usual = batches is None or (type(batches) is BatchSampler and batches.sampler is loader.sampler)
    if not usual or type(loader.sampler) is not SequentialSampler:
        raise ImageError(
            "images: a loader that shuffles or chooses may give other pictures the second time; give its dataset, or a "
            "loader with shuffle=False"
        )
    if batches is None or loader.collate_fn is not default_collate:
        return None
    count = len(loader.sampler)
    if loader.drop_last and loader.batch_size:
        count -= count % loader.batch_size
    return Pictures(Entries(dataset if count == len(loader.sampler) else Subset(dataset, range(count))))
