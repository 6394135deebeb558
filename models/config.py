"""The training configuration: every value, its meaning, its default (the paper's) and its limits.

Sources of the defaults: Manilow, Wichern, Le Roux, ISMIR 2020, section 5 (networks, STFT, optimizer), and
Seetharaman et al., MLSP 2020 (clipping percentile).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Task = Literal["sss", "qbe"]
PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of a layer: far more than fits any machine, so that the shapes of a network can be computed at least."""
Probability = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """What an example is made of.

    Attributes
    ----------
    mask
        Name of a data-reduction mask of the shards, such as ``leaf-90``; None: all ground truth is available.
    queries
        QBE: ``fixed`` takes the query stored with the clip; ``fresh`` draws one for every example and epoch in
        training (same node, another song, available under the mask). Validation and test always take the stored.
    gain_db
        Augmentation: each part of the mixture gets a gain drawn from +-gain_db (dB), and mixture and sources are
        built again from the parts. 0: off.
    crop_seconds
        Augmentation: a random excerpt of this length (s) of each training clip. None: the whole clip.
    """

    mask: str | None = None
    queries: Literal["fixed", "fresh"] = "fixed"
    gain_db: Annotated[float, Field(ge=0, le=40)] = 0.0
    crop_seconds: Annotated[float, Field(gt=0)] | None = None


class StftConfig(_Section):
    """Window and hop in samples; the window is a square-root Hann one."""

    window: Annotated[int, Field(ge=16, le=65536)] = 1024
    hop: PositiveInt = 512

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window % 2 or self.window % self.hop or self.hop > self.window // 2:
            raise ValueError("the window must be even, and the hop must divide it and be at most half of it")
        return self


class NetworkConfig(_Section):
    """Which network, and its size.

    Attributes
    ----------
    kind
        ``blstm``: the paper's. ``bandsplit``: band-split recurrent network with complex masks (take the preset
        ``bandsplit``, whose sizes suit it).
    layers, units, dropout
        ``blstm``: BLSTM layers, units per direction, dropout between layers. ``bandsplit``: pairs of layers.
    batch_norm
        ``blstm``: standardise each bin of the log magnitude over batch and frames. None: as in the paper, for SSS
        only.
    query_layers, query_units, embedding
        QBE: BLSTM of the query and the length of the anchor. ``query_units`` None: as ``units``; with ``blstm``
        they are always equal, as in the paper.
    features
        ``bandsplit``: numbers that describe a band of a frame.
    """

    kind: Literal["blstm", "bandsplit"] = "blstm"
    layers: Annotated[int, Field(ge=1, le=64)] = 4
    units: Width = 600
    dropout: Probability = 0.3
    batch_norm: bool | None = None
    query_layers: Annotated[int, Field(ge=1, le=64)] = 2
    query_units: Width | None = None
    embedding: Width = 20
    features: Width = 64

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "blstm" and self.query_units not in (None, self.units):
            raise ValueError(
                "query_units belongs to kind bandsplit; with blstm both networks have `units` units"
            )
        return self


class LossConfig(_Section):
    """Loss of a clip and level, and what the sum is divided by.

    Attributes
    ----------
    kind
        ``tpsa``: L1 to the truncated phase-sensitive target (real masks). ``complex``: L1 of real and imaginary
        part (any mask).
    denominator
        ``all``: all clips times levels, withheld ground truth included (the paper's). ``available``: only those
        whose ground truth is available.
    """

    kind: Literal["tpsa", "complex"] = "tpsa"
    denominator: Literal["all", "available"] = "all"


class OptimizerConfig(_Section):
    """Adam, its learning rate and what changes it.

    Attributes
    ----------
    lr, betas
        Of Adam.
    patience, factor
        The rate is multiplied by ``factor`` when the validation loss has not improved for ``patience`` epochs.
    clip_percentile
        AutoClip: gradients are clipped to this percentile of all norms so far. None: not clipped.
    """

    lr: Annotated[float, Field(gt=0)] = 1e-4
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    patience: Count = 5
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    clip_percentile: Annotated[float, Field(ge=0, le=100)] | None = 10.0


class TrainingConfig(_Section):
    """How long, in which portions, from which seed.

    Attributes
    ----------
    epochs
        Epochs in all; a finished run goes on when it is given more.
    steps_per_epoch
        Optimizer steps an epoch. None: as many as whole batches fit into the clips; more than that goes round
        the clips again, each time in a new order.
    batch_size
        Clips of one optimizer step, all devices and accumulated parts together.
    accumulate
        Parts a batch is worked off in, one after another, where it does not fit into memory.
    seed
        Of the initial weights, the order of the clips, dropout and augmentation.
    checkpoint_every
        Also write a checkpoint every so many steps; None: at the end of each epoch only.
    keep
        Which model becomes weights.safetensors: the ``best``, by validation loss, or the ``last``.
    """

    epochs: PositiveInt = 100
    steps_per_epoch: PositiveInt | None = None
    batch_size: PositiveInt = 25
    accumulate: PositiveInt = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 588
    checkpoint_every: PositiveInt | None = None
    keep: Literal["best", "last"] = "best"


class HardwareConfig(_Section):
    """Where it runs. Nothing here changes what is computed, except for rounding.

    Attributes
    ----------
    accelerator
        ``auto`` takes a GPU where there is one.
    devices, nodes
        Processes with one device each, a machine; machines.
    precision
        ``bf16`` runs the networks in bfloat16 (STFT, masks and loss stay float32).
    compile
        Compile the network with ``torch.compile``: pays for ``bandsplit``, hardly for BLSTM layers.
    threads
        Processor threads of PyTorch a process; None: PyTorch's own choice, all cores. Small networks are faster
        with 1, above all where other programs use the machine too.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    precision: Literal["32", "bf16"] = "32"
    compile: bool = False
    threads: PositiveInt | None = None


class Config(_Section):
    """One training, whole.

    Attributes
    ----------
    task
        ``sss``: single-source separation (one path). ``qbe``: query by example (any path).
    preset
        The values that everything else starts from.
    node
        SSS: the finest node of the path to separate; None: the one the shards were rendered for.
    levels
        Levels to estimate, 1 the finest; None: every numbered level in the shards.
    constraint
        The hierarchical constraint: no level's mask is below that of the level under it.
    """

    task: Task
    preset: str = "paper"
    node: str | None = None
    levels: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    constraint: bool = True
    data: DataConfig = DataConfig()
    stft: StftConfig = StftConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    hardware: HardwareConfig = HardwareConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.levels is not None and list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must be different numbers, the finest (smallest) first")
        if self.task == "qbe" and self.node is not None:
            raise ValueError("node is for sss; qbe separates whatever the query sounds like")
        if self.loss.kind == "tpsa" and self.network.kind == "bandsplit":
            raise ValueError("loss.kind tpsa needs real masks; the bandsplit network takes loss.kind complex")
        processes, t = self.hardware.devices * self.hardware.nodes, self.training
        if t.batch_size % t.accumulate:
            raise ValueError(
                f"training.accumulate ({t.accumulate}) must divide training.batch_size ({t.batch_size})"
            )
        if t.batch_size < t.accumulate * processes:
            raise ValueError(
                f"training.batch_size ({t.batch_size}) is less than one clip for each of {t.accumulate} parts on "
                f"each of {processes} devices"
            )
        return self


def without_removed(values: Any) -> Any:
    """A configuration that an earlier version wrote, without the keys that are no more.

    ``data.workers`` said how many processes read clips, which a thread does now.
    """
    if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
        return values
    return {**values, "data": {key: value for key, value in values["data"].items() if key != "workers"}}
