"""Data sets in Slakh's layout: what is on disk, which songs, which splits, and the catalog of it all."""

from slakh_hier.slakh.by_track import StemsByTrack
from slakh_hier.slakh.catalog import Catalog
from slakh_hier.slakh.frame import build_frame
from slakh_hier.slakh.scan import scan
from slakh_hier.slakh.splits import SCHEMES

__all__ = ["SCHEMES", "Catalog", "StemsByTrack", "build_frame", "scan"]
