"""Checkpoints that Lightning writes load as the network that was trained."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from tests.models.load.weights.networks import equal, loaded, prefixed, trained


class Training(pl.LightningModule):
    """A training of the network as it is written with Lightning."""

    def __init__(self, net, **settings):
        super().__init__()
        self.save_hyperparameters(settings)
        self.net = net
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(10))

    def training_step(self, batch, _):
        return self.criterion(self.net(batch), torch.zeros(len(batch), dtype=torch.long))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def without_loss(state):
    return {name: value for name, value in state.items() if "criterion" not in name}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("averaged", [False, True])
def test_a_checkpoint_of_lightning(tmp_path, averaged):
    training = Training(trained(), out=pathlib.Path("runs"), labels=(np.float64(0.5), 3))
    callbacks = [pl.callbacks.EMAWeightAveraging(decay=0.5)] if averaged else []
    trainer = pl.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )

    class Save(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.save_checkpoint(tmp_path / "last.ckpt")

    trainer.callbacks.append(Save())
    trainer.fit(training, torch.utils.data.DataLoader(torch.rand(4, 1, 8, 8), batch_size=2))
    saved = torch.load(tmp_path / "last.ckpt", weights_only=False)
    fitted = loaded(tmp_path / "last.ckpt")
    assert equal(prefixed(fitted.module.state_dict(), "net"), without_loss(saved["state_dict"]))
    said = "; ".join(fitted.notes)
    assert "weights taken from state_dict of the file; prefix net. stripped from its names" in said
    assert "criterion 1" in said
    assert "pathlib" in said
    assert ("averages of the weights" in said) == averaged
    if averaged:
        now = loaded(f"{tmp_path / 'last.ckpt'}:current_model_state")
        assert "current_model_state.net fits too" in said
        assert equal(prefixed(now.module.state_dict(), "net"), without_loss(saved["current_model_state"]))
