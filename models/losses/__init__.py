"""Training losses, one module each, called after its kind; :func:`~slakh_hier.models.registry.register_loss` adds it.

A loss is a function of an :class:`~slakh_hier.models.objective.Estimate` that returns one number for each clip and level,
float32 (batch, levels), 0 where it has nothing to say. Withheld ground truth need not be left out:
:func:`~slakh_hier.models.objective.masked_sums` does so.
"""
