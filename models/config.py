"""The training configuration: every value, its meaning, its default (the paper's) and its limits.

Sources of the defaults: Manilow, Wichern, Le Roux, ISMIR 2020 (networks, STFT, optimizer), and Seetharaman et al., MLSP 2020
(clipping percentile).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, SerializeAsAny, model_validator

from slakh_hier.models.registry import LOSSES, NETWORKS, LossOptions, NetworkOptions
from slakh_hier.models.section import Count, PositiveInt, Probability, Section
from slakh_hier.shards.mask import mask_name

Task = Literal["sss", "qbe"]


class DataConfig(Section):
    """What an example is made of."""

    mask: Annotated[str, AfterValidator(mask_name)] | None = None
    """Name of a mask of the shards, as ``leaf-90``; None: all ground truth is available."""
    queries: Literal["fixed", "fresh"] = "fixed"
    """QBE: ``fixed`` takes the query stored with the clip; ``fresh`` draws one for every example and epoch in training
    (same node, another song, available under the mask). Validation and test always take the stored."""
    gain_db: Annotated[float, Field(ge=0, le=40)] = 0.0
    """Augmentation: each part of the mixture gets a gain drawn from +-gain_db (dB), and mixture and sources are built
    again from the parts. 0: off."""
    crop_seconds: Annotated[float, Field(gt=0)] | None = None
    """Augmentation: a random excerpt of this length (s) of each training clip. None: the whole clip."""
    remix: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Augmentation: the probability with which what each level adds to the one below it, and the rest of the mixture,
    each come from a clip of its own with the same target. Mixtures of one song's parts are then mixtures of several
    songs'."""
    balance: Literal["none", "node"] = "none"
    """QBE: ``none`` draws clips as they are, so that nodes with many clips decide what is learnt. ``node`` draws as
    many of each target."""


class StftConfig(Section):
    """Window and hop in samples; the window is a square-root Hann one."""

    window: Annotated[int, Field(ge=16, le=65536)] = 1024
    hop: PositiveInt = 512

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window % 2 or self.window % self.hop or self.hop > self.window // 2:
            raise ValueError("the window must be even, and the hop must divide it and be at most half of it")
        return self


class OptimizerConfig(Section):
    """The optimizer, its learning rate and what changes it."""

    kind: Literal["adam", "muon"] = "adam"
    """``adam`` (the paper's), or ``muon``, which takes Muon for matrices and Adam for the rest: a step costs more and
    teaches more, above all with large batches."""
    lr: Annotated[float, Field(gt=0)] = 1e-4
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    """``lr`` is the highest rate; ``betas`` are Adam's."""
    schedule: Literal["plateau", "one_cycle"] = "plateau"
    """``plateau``: the rate falls where the validation loss does not (the paper's). ``one_cycle``: it rises to ``lr``
    and falls to nearly zero within the training, whose length must then be known from the start."""
    patience: Count = 5
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """``patience`` and ``factor``, of ``plateau``: the rate is multiplied by ``factor`` when the validation loss has not
    improved for ``patience`` epochs."""
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``one_cycle``: part of the training in which the rate rises."""
    clip_percentile: Annotated[float, Field(ge=0, le=100)] | None = 10.0
    """AutoClip: gradients are clipped to this percentile of all norms so far. None: not clipped."""


class TrainingConfig(Section):
    """How long, in which portions, from which seed."""

    epochs: PositiveInt = 100
    """Epochs in all; with ``plateau`` a finished run continues when it is given more."""
    steps_per_epoch: PositiveInt | None = None
    """Optimizer steps per epoch. None: as many as whole batches fit into the clips; more than that goes round the clips
    again, each time in a new order."""
    batch_size: PositiveInt = 25
    """Clips of one optimizer step, all devices and accumulated parts together."""
    accumulate: PositiveInt = 1
    """Micro-batches: parts of a batch that are processed one after another (gradient accumulation) to fit into memory."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 588
    """Of the initial weights, the order of the clips, dropout and augmentation."""
    checkpoint_every: PositiveInt | None = None
    """Also write a checkpoint every so many steps; None: at the end of each epoch only."""
    keep: Literal["best", "last"] = "best"
    """Which model becomes weights.safetensors: the ``best``, by validation loss, or the ``last``."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Validate and publish an exponential moving average of the weights, of which a step leaves this part, such as
    0.999. None: the weights themselves."""
    init_from: str | None = None
    """A run folder whose weights the training starts from, as far as their shapes fit. None: fresh weights."""


class HardwareConfig(Section):
    """Where it runs. Nothing here changes what is computed, except for rounding."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """``auto`` takes a CUDA GPU where there is one, ``gpu`` insists on it. ``mps``: the GPU of an Apple processor."""
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    """``devices`` and ``nodes``: processes per machine, each with one device; machines."""
    precision: Literal["32", "bf16"] = "32"
    """``bf16`` runs the networks in bfloat16 (STFT, masks and loss stay float32)."""
    compile: bool = False
    """Compile the network with ``torch.compile``: pays for ``bandsplit``, hardly for BLSTM layers."""
    threads: PositiveInt | None = None
    """CPU threads of PyTorch per process; None: PyTorch's own choice, all cores. Small networks are faster with 1,
    above all where other programs use the machine too."""


class Config(Section):
    """One training, whole."""

    task: Task
    """``sss``: source-specific separation (one path). ``qbe``: query by example (any path)."""
    preset: str = "paper"
    """The values that everything else starts from."""
    node: str | None = None
    """SSS: the node to separate, with its ancestors; None: the one the shards were rendered for."""
    levels: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """Levels to estimate, 1 the finest; None: every numbered level in the shards."""
    constraint: bool = True
    """The hierarchical constraint: no level's mask is below that of the level under it."""
    data: DataConfig = DataConfig()
    """What an example is made of."""
    stft: StftConfig = StftConfig()
    """Window and hop."""
    network: Annotated[SerializeAsAny[NetworkOptions], PlainValidator(NETWORKS.parse)] = Field(
        default_factory=lambda: NETWORKS.parse({})
    )
    loss: Annotated[SerializeAsAny[LossOptions], PlainValidator(LOSSES.parse)] = Field(
        default_factory=lambda: LOSSES.parse({})
    )
    """``network`` and ``loss``: options of a kind (:mod:`~slakh_hier.models.networks`,
    :mod:`~slakh_hier.models.losses`), by default ``blstm`` and ``tpsa``."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """The optimizer, its learning rate and what changes it."""
    training: TrainingConfig = TrainingConfig()
    """How long, in which portions, from which seed."""
    hardware: HardwareConfig = HardwareConfig()
    """Where it runs."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.levels is not None and list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must be different numbers, the finest (smallest) first")
        if self.task == "qbe" and self.node is not None:
            raise ValueError("node is for sss; qbe separates whatever the query sounds like")
        if self.task == "sss" and self.data.balance != "none":
            raise ValueError("data.balance is for qbe; sss has one target")
        if self.loss.real_masks and self.network.complex_masks:
            raise ValueError(
                f"loss.kind {self.loss.kind} needs real masks, but network {self.network.kind} gives complex ones; take "
                "--set loss.kind=complex"
            )
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
