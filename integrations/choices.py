"""The choices of integrations: families and their kinds, platforms, verification states."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Verification(models.TextChoices):
    PENDING = "PENDING", _("Not verified yet")
    VALID = "VALID", _("Verified")
    INVALID = "INVALID", _("Needs attention")
    EXPIRED = "EXPIRED", _("Expired")


class Silence(models.TextChoices):
    """Why nothing is sent to a recipient."""

    REFUSED = "REFUSED", _("Refused")  # the other side refuses it for good
    UNSUBSCRIBED = "UNSUBSCRIBED", _("Unsubscribed")


class Kinds(models.TextChoices):
    """The kinds of a family."""

    @classmethod
    def offered(cls) -> list[tuple[str, str]]:
        """A column's choices as a callable, so that a new one needs no migration."""
        return [(str(kind), str(label)) for kind, label in cls.choices]


class ScmType(Kinds):
    GITHUB = "GITHUB", "GitHub"
    GITLAB = "GITLAB", "GitLab"


class TargetType(Kinds):
    APP_STORE = "APP_STORE", "App Store"
    PLAY_STORE = "PLAY_STORE", "Play Store"


class PipelineType(Kinds):
    JENKINS = "JENKINS", "Jenkins"
    GITHUB_ACTIONS = "GITHUB_ACTIONS", "GitHub Actions"
    GITLAB_CI = "GITLAB_CI", "GitLab CI"
    WEBHOOK = "WEBHOOK", "Any CI"


class CommunicationType(Kinds):
    SLACK = "SLACK", "Slack"
    TEAMS = "TEAMS", "Microsoft Teams"
    WEBHOOK = "WEBHOOK", "Outgoing webhook"
    EMAIL = "EMAIL", _("Email")


class TicketType(Kinds):
    JIRA = "JIRA", "Jira"


class HealthType(Kinds):
    SENTRY = "SENTRY", "Sentry"
    PLAY_VITALS = "PLAY_VITALS", "Google Play vitals"


class Preset(models.TextChoices):
    """How much a communication connection tells."""

    QUIET = "quiet", _("Quiet")
    NORMAL = "normal", _("Normal")
    EVERYTHING = "everything", _("Everything")


class Platform(models.TextChoices):
    IOS = "IOS", "iOS"
    ANDROID = "ANDROID", "Android"


PLATFORM_OF = {TargetType.APP_STORE: Platform.IOS, TargetType.PLAY_STORE: Platform.ANDROID}
