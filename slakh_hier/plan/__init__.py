"""From a catalog to the list of clips to render."""

from slakh_hier.plan.activity import measure_activity
from slakh_hier.plan.parameters import DEFAULT_CLIPS, Parameters, parse_clips
from slakh_hier.plan.plan import Plan
from slakh_hier.plan.planning import plan_clips

__all__ = ["DEFAULT_CLIPS", "Parameters", "Plan", "measure_activity", "parse_clips", "plan_clips"]
