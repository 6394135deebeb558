"""For mkdocstrings: docstrings name other objects by Sphinx roles, which become code here."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc|obj):`~?([\w.]+)`")


class Roles(griffe.Extension):
    """``:func:`~package.module.name``` reads ``name``."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(lambda role: f"`{role[1].rsplit('.')[-1]}`", obj.docstring.value)
