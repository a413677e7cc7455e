"""Apple's words for states."""

from __future__ import annotations

from typing import Final

PLATFORM: Final = "IOS"

# `appVersionState`: https://developer.apple.com/documentation/appstoreconnectapi/appversionstate
EDITABLE = frozenset(
    {
        "PREPARE_FOR_SUBMISSION",
        "READY_FOR_REVIEW",
        "REJECTED",
        "METADATA_REJECTED",
        "INVALID_BINARY",
        "DEVELOPER_REJECTED",
    }
)
PUBLISHED = frozenset(
    {
        "PENDING_APPLE_RELEASE",
        "PROCESSING_FOR_DISTRIBUTION",
        "READY_FOR_DISTRIBUTION",
        "REPLACED_WITH_NEW_VERSION",
    }
)
LIVE = "READY_FOR_DISTRIBUTION"
ONCE_LIVE = frozenset({LIVE, "REPLACED_WITH_NEW_VERSION"})

# `state` of a review submission: COMPLETE says that Apple has decided, not what.
UNSENT = "READY_FOR_REVIEW"
UNRESOLVED = "UNRESOLVED_ISSUES"
CANCELING = "CANCELING"
AT_APPLE = frozenset({"WAITING_FOR_REVIEW", "IN_REVIEW", "COMPLETING"})
OPEN = AT_APPLE | {UNSENT, UNRESOLVED}
