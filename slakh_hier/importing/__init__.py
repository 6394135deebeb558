"""Own multitracks as a data set in Slakh's layout (:func:`import_data_set`), by a map of file names."""

from slakh_hier.importing.map_file import load_map, parse_map
from slakh_hier.importing.run import ImportReport, import_data_set
from slakh_hier.importing.starter import write_new_map
from slakh_hier.importing.stem_map import Instrument, Pattern, StemMap

__all__ = [
    "ImportReport",
    "Instrument",
    "Pattern",
    "StemMap",
    "import_data_set",
    "load_map",
    "parse_map",
    "write_new_map",
]
