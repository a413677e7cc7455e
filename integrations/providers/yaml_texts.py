"""YAML that somebody else wrote, as texts, lists and mappings alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_ALIASES = 100


class _Loader(yaml.BaseLoader):
    """Builds only strings, lists and mappings: no tags, no booleans (YAML 1.1 would read `on` as
    True), no merges. A node with aliases is built once and so not multiplied."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                raise ValueError(f"It uses more than {MAX_ALIASES} YAML aliases.")
        return super().compose_node(parent, index)


def yaml_documents(text: bytes, *, longest: int) -> Iterator[Any]:
    """The documents of a file, one after the other: a later one may be invalid. Raises ValueError
    with a sentence for people."""
    if len(text) > longest:
        raise ValueError(f"It is larger than {longest // 1024} KiB.")
    try:
        yield from yaml.load_all(text.decode(), Loader=_Loader)
    except (yaml.YAMLError, UnicodeError, RecursionError):
        raise ValueError("It is not valid YAML.") from None
