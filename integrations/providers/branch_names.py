"""Names of branches, for every host of repositories."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

SIMILAR = 3
LIKE_ENOUGH = 0.6  # similarity; 1.0 is equal
_REMOTE = re.compile(r"(?:remotes/)?(?:origin|upstream)/(.+)")


def refs_of(name: str) -> list[str]:
    """The refs below `refs/` that a name may mean: jobs get branches in git's notation or a CI
    server's, with a remote as prefix or as a full ref, and tags."""
    if name.startswith("refs/") and not name.startswith("refs/remotes/"):
        return [name.removeprefix("refs/")]
    name = name.removeprefix("refs/")
    refs = [f"heads/{name}", f"tags/{name}"]
    if name.startswith(("heads/", "tags/")):
        refs.append(name)
    if remote := _REMOTE.fullmatch(name):
        refs.append(f"heads/{remote[1]}")
    return refs


def nearest(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names most similar to a missing one; those with the same end (the version) first."""
    end = name.rpartition("/")[2].casefold()
    same_end = [n for n in names if n.rpartition("/")[2].casefold() == end]
    by_key = {n.casefold(): n for n in reversed(names)}
    like = difflib.get_close_matches(name.casefold(), by_key, n=SIMILAR, cutoff=LIKE_ENOUGH)
    found = dict.fromkeys([*same_end, *(by_key[key] for key in like)])
    return tuple(found)[:SIMILAR]
