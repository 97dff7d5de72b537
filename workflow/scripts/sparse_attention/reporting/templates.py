"""Open the Jinja templates of pages."""

from __future__ import annotations

import os

import jinja2


def open_template(path: str) -> jinja2.Template:
    """Return a template that escapes what is put into it, and in which unknown names are errors."""
    folder, name = os.path.split(path)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder or "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
