"""Addresses in App Store Connect on which a person mends something."""

from __future__ import annotations

# Apple's form for a faster review, which no API has.
EXPEDITE = "https://developer.apple.com/contact/app-store/?topic=expedite"
CONSOLE = "https://appstoreconnect.apple.com/apps"
AGREEMENTS = "https://appstoreconnect.apple.com/business"
KEYS = "https://appstoreconnect.apple.com/access/integrations/api"


def version_page(app_id: str, *, is_live: bool = False) -> str:
    return f"{CONSOLE}/{app_id}/distribution/ios/version/{'deliverable' if is_live else 'inflight'}"


def app_page(app_id: str) -> str:
    """General information: categories, age rating, content rights."""
    return f"{CONSOLE}/{app_id}/distribution/info"


def testflight_page(app_id: str) -> str:
    return f"{CONSOLE}/{app_id}/testflight/ios"


def test_information_page(app_id: str) -> str:
    return f"{CONSOLE}/{app_id}/testflight/test-info"


def review_page(app_id: str, submission_id: str = "") -> str:
    """The Resolution Center of one review submission, the only place with Apple's reasons."""
    page = f"{CONSOLE}/{app_id}/distribution/reviewsubmissions"
    return f"{page}/details/{submission_id}" if submission_id else page
