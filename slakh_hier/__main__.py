"""``python -m slakh_hier`` is the ``slakh-hier`` command."""

from slakh_hier.cli.main import main

main()
