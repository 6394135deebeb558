"""Training on several nodes, as torchrun starts it: two agents on this machine stand for two nodes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slakh_hier.models.config import Config
from slakh_hier.models.config_file import config_yaml
from slakh_hier.models.training import train

pytest.importorskip("pytorch_lightning")


@pytest.mark.timeout(240)
def test_two_nodes_give_one_run_and_the_curve_of_one_process(
    guitar_shards: Path, tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_config(
        "sss", "network.dropout=0", "network.batch_norm=false", "training={epochs: 1, steps_per_epoch: 3}"
    )
    train(config, guitar_shards, tmp_path / "one")
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    train_on_two = [
        *["-m", "slakh_hier", "train", "sss", guitar_shards, "-o", tmp_path / "two"],
        *["--config", tmp_path / "config.yaml", "--set", "hardware.nodes=2"],
    ]
    nodes = []
    for rank in range(2):
        agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        agent += ["--node-rank", str(rank), "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
        with open(tmp_path / f"said-{rank}", "w") as said:
            nodes.append(
                subprocess.Popen(
                    [*agent, *train_on_two],
                    stdout=said,
                    stderr=said,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            )
    try:
        codes = [node.wait(200) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    said_by = [(tmp_path / f"said-{rank}").read_text() for rank in range(2)]
    assert codes == [0, 0], said_by
    assert sum("best_loss" in said for said in said_by) == 1  # one of them is the run's voice
    one, two = (pd.read_csv(tmp_path / name / "steps.csv") for name in ("one", "two"))
    assert list(two["step"]) == [1, 2, 3]
    np.testing.assert_allclose(one["loss"], two["loss"], atol=1e-4, rtol=1e-4)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {path.name for path in (tmp_path / "two").iterdir()} == names
