"""Data sets in Slakh's layout: what is on disk, which songs, which splits, and the catalog of it all."""

from slakh_hier.slakh.by_track import StemsByTrack
from slakh_hier.slakh.catalog import Catalog
from slakh_hier.slakh.scan import scan

__all__ = ["Catalog", "StemsByTrack", "scan"]
