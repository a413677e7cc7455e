"""Apple's words for states, and its fixed figures."""

from __future__ import annotations

from typing import Final

PLATFORM: Final = "IOS"
NOTES_LIMIT = 4000  # characters of what is new

# https://developer.apple.com/help/app-store-connect/update-your-app/release-a-version-update-in-phases
SHARES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # per cent, a day each
LONGEST_PAUSE = 30  # days in total; then Apple continues

# `appVersionState`: https://developer.apple.com/documentation/appstoreconnectapi/appversionstate
IN_SUBMISSION = "READY_FOR_REVIEW"  # one that was not sent yet
EDITABLE = frozenset(
    {
        "PREPARE_FOR_SUBMISSION",
        IN_SUBMISSION,
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
APPROVED = "PENDING_DEVELOPER_RELEASE"
LIVE = "READY_FOR_DISTRIBUTION"
ONCE_LIVE = frozenset({LIVE, "REPLACED_WITH_NEW_VERSION"})

# `state` of a review submission: COMPLETE says that Apple has decided, not what.
UNSENT = "READY_FOR_REVIEW"
UNRESOLVED = "UNRESOLVED_ISSUES"
CANCELING = "CANCELING"
AT_APPLE = frozenset({"WAITING_FOR_REVIEW", "IN_REVIEW", "COMPLETING"})
OPEN = AT_APPLE | {UNSENT, UNRESOLVED}
