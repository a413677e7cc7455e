"""Is what Apple wants to know of the app complete, and whom to ask during the review?"""

from __future__ import annotations

from ...base import ProviderError
from ..pages import app_page, version_page
from ..resources import Resource
from .facts import Facts
from .made import Checks, failed

# Each question must be answered, also those that Apple added for 2026:
# https://developer.apple.com/documentation/appstoreconnectapi/ageratingdeclaration
_QUESTIONS = {
    "advertising": "advertising",
    "ageAssurance": "age assurance",
    "alcoholTobaccoOrDrugUseOrReferences": "alcohol, tobacco or drugs",
    "contests": "contests",
    "gambling": "gambling",
    "gamblingSimulated": "simulated gambling",
    "gunsOrOtherWeapons": "guns or other weapons",
    "healthOrWellnessTopics": "health or wellness topics",
    "horrorOrFearThemes": "horror or fear themes",
    "lootBox": "loot boxes",
    "matureOrSuggestiveThemes": "mature or suggestive themes",
    "medicalOrTreatmentInformation": "medical information",
    "messagingAndChat": "messaging and chat",
    "parentalControls": "parental controls",
    "profanityOrCrudeHumor": "profanity or crude humor",
    "sexualContentGraphicAndNudity": "graphic sexual content",
    "sexualContentOrNudity": "sexual content or nudity",
    "unrestrictedWebAccess": "unrestricted web access",
    "userGeneratedContent": "user-generated content",
    "violenceCartoonOrFantasy": "cartoon violence",
    "violenceRealistic": "realistic violence",
    "violenceRealisticProlongedGraphicOrSadistic": "graphic violence",
}
_CONTACT = {
    "contactFirstName": "first name",
    "contactLastName": "last name",
    "contactPhone": "phone number",
    "contactEmail": "email address",
}
_DEMO = {"demoAccountName": "user name of the demo account", "demoAccountPassword": "its password"}


def age_rating(facts: Facts) -> Checks:
    rating = facts.info.one("ageRatingDeclaration") if facts.info else None
    if rating is None:
        return
    # A question that the API does not report does not exist.
    still = [q for name, q in _QUESTIONS.items() if rating.has(name) and rating.get(name) is None]
    if still:
        yield failed(
            "age_rating",
            "age_rating_unanswered",
            f"Questions about the age rating are not answered: {', '.join(still)}.",
            "Answer them under App Information > Age Rating.",
            url=app_page(facts.app.id),
        )


def app_information(facts: Facts) -> Checks:
    name, url = "app_information", app_page(facts.app.id)
    if facts.about and not facts.about.text("contentRightsDeclaration"):
        yield failed(
            name,
            "content_rights_missing",
            "Nobody has said whether the app contains content of others.",
            "Set it under App Information > Content Rights.",
            url=url,
        )
    if facts.model and not facts.is_submitted and not facts.model.text("copyright"):
        yield failed(
            name,
            "copyright_missing",
            "The version names nobody who has the copyright.",
            "Enter it on the version's page, under General Information.",
            url=version_page(facts.app.id),
        )
    if facts.info and facts.info.one("primaryCategory") is None:
        yield failed(
            name,
            "category_missing",
            "The app has no primary category.",
            "Choose one under App Information.",
            url=url,
        )


def review_contact(facts: Facts) -> Checks:
    """Of the version, or of the one from which Apple copies the contact."""
    if facts.model is None:
        return
    if missing := missing_contact(_review_detail(facts, facts.model)):
        yield failed(
            "review_contact",
            "contact_missing",
            f"For questions during the review, Apple needs: {', '.join(missing)}.",
            "Enter it under App Review Information.",
            url=version_page(facts.app.id),
        )


def _review_detail(facts: Facts, version: Resource) -> Resource | None:
    try:
        return facts.client.one(f"/v1/appStoreVersions/{version.id}/appStoreReviewDetail")
    except ProviderError as error:
        if error.code != "not_found":
            raise
        return None


def missing_contact(detail: Resource | None) -> list[str]:
    wanted = dict(_CONTACT)
    if detail and detail.get("demoAccountRequired") is True:
        wanted |= _DEMO
    return [words for name, words in wanted.items() if not (detail and detail.text(name))]
