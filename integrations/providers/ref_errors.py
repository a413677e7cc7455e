"""Why a branch or a tag is not created, in the same words for every host of repositories."""

from __future__ import annotations

from collections.abc import Callable

from .base import Outcome, ProviderError
from .scm import Ref


def after_refusal(read: Callable[[], Ref | None]) -> Ref | None:
    """The existing ref, after a refusal that proves that this request created nothing."""
    try:
        return read()
    except ProviderError as error:
        failure = error
    if failure.outcome is Outcome.UNCERTAIN:
        failure.outcome = Outcome.NOT_SENT
    raise failure


def folder_in_the_way(name: str, read: Callable[[str], Ref | None]) -> str:
    """A ref that is a folder of this name, "" without one: Git cannot have both `release` and
    `release/1.5`."""
    folders = name.split("/")[:-1]
    shorter = ("/".join(folders[: end + 1]) for end in range(len(folders)))
    found = next((ref for part in shorter if (ref := read(part))), None)
    return found.name if found else ""


def elsewhere(label: str, word: str, there: Ref, commit: str) -> ProviderError:
    """`word`: branch or tag; it is there already, at another commit."""
    return ProviderError.refused(
        f"{word}_elsewhere",
        f"{there.name} already exists, at {there.commit[:7]} instead of {commit[:7]}.",
        f"Delete the {word} on {label} and retry, or cancel this to leave it unchanged.",
    )


def commit_gone(label: str, commit: str) -> ProviderError:
    return ProviderError.refused(
        "commit_gone",
        f"{label} does not have the commit {commit[:7]}, or no longer has it.",
        "Someone may have rewritten the branch. Retry: delivr looks up the newest commit again.",
    )


def name_in_the_way(label: str, word: str, name: str, other: str) -> ProviderError:
    return ProviderError.refused(
        "name_in_the_way",
        f"{name} cannot be created while {other} exists: in Git, one would be a folder that "
        "contains the other.",
        f"Delete or rename the {word} {other} on {label} and retry.",
    )


def empty(repository: str) -> ProviderError:
    return ProviderError.refused(
        "repository_empty",
        f"{repository} is empty: it has no commits yet.",
        "Push the first commit and retry.",
    )
