"""Users, their workspaces (tenants), roles, invitations and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from delivr.effects import clock
from delivr.encryption.fields import SecretTextField
from delivr.ids import PrefixedIdField, membership_id, tenant_id

LAST_USED_RESOLUTION = timedelta(minutes=1)


class Role(models.TextChoices):
    OWNER = "OWNER", _("Owner")
    ADMIN = "ADMIN", _("Admin")
    MEMBER = "MEMBER", _("Member")
    VIEWER = "VIEWER", _("Viewer")

    def covers(self, needed: Role) -> bool:
        """True if this role may do everything that `needed` may."""
        order = [Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER]
        return order.index(self) >= order.index(needed)


class EmailUserManager(UserManager["User"]):
    """Users are identified by their email address; there is no user name."""

    def _create(self, email: str, password: str | None, **extra: Any) -> User:
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:  # type: ignore[override]
        return self._create(email, password, **extra)

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:  # type: ignore[override]
        return self._create(email, password, is_staff=True, is_superuser=True, **extra)


class User(AbstractUser):
    username = None  # type: ignore[assignment] # taken away from AbstractUser
    email = models.EmailField(_("email address"), unique=True)
    name = models.CharField(_("name"), max_length=80, blank=True, default="", db_default="")
    # Empty: use the browser's. See delivr/pages/timezones.py.
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = EmailUserManager()  # type: ignore[misc] # its own manager

    def __str__(self) -> str:
        return self.email

    @property
    def called(self) -> str:
        """The name for other people; the email address if there is none."""
        return self.name or self.email

    @property
    def called_exactly(self) -> str:
        """The name with the email address: two people may have one name."""
        return f"{self.name} ({self.email})" if self.name else self.email


class Tenant(models.Model):
    """One workspace: all other data belongs to exactly one of these."""

    id = models.CharField(primary_key=True, max_length=10, default=tenant_id, editable=False)
    name = models.CharField(max_length=80)
    skipped_steps = models.JSONField(default=list, blank=True)
    # Owners and admins without a second factor cannot open the workspace's pages.
    requires_second_factor = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)  # after it nobody can enter
    members: models.ManyToManyField[User, Membership] = models.ManyToManyField(
        User, through="Membership", related_name="tenants"
    )

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class TenantQuerySet(models.QuerySet[Any]):
    def for_tenant(self, tenant: Tenant | str) -> Self:
        return self.filter(tenant=tenant)


class TenantOwned(models.Model):
    """A row of one tenant. Composite foreign keys refer to its `UNIQUE(tenant, id)`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, editable=False, related_name="+")
    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


def unique_per_tenant(table: str) -> models.UniqueConstraint:
    """The constraint that every tenant-owned table has."""
    return models.UniqueConstraint(fields=["tenant", "id"], name=f"{table}_tenant_id_uniq")


class Membership(TenantOwned):
    public_id = models.CharField(max_length=40, unique=True, default=membership_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    # Which emails about releases the member wants: see delivr/tenants/mail_choices.py.
    mail_choices = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )
    digest_until = models.DateTimeField(null=True, blank=True, editable=False)
    # The address that a mail server refused for good: nothing is sent to it any more.
    mail_refused = models.CharField(
        max_length=254, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        ordering = ["tenant__name", "id"]
        constraints = [
            unique_per_tenant("membership"),
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}"


class InvitationQuerySet(TenantQuerySet):
    def unsettled(self) -> Self:
        """Neither accepted nor revoked. Includes expired ones, which can be sent again."""
        return self.filter(accepted_at=None, revoked_at=None)

    def find(self, secret: str) -> Invitation | None:
        """The invitation that belongs to a link's secret, or None."""
        rows = self.select_related("tenant", "inviter").exclude(digest="")
        found: Invitation | None = rows.filter(digest=hash_token(secret)).first()
        return found if found and found.is_live else None


class Invitation(TenantOwned):
    """A link by email that lets one address join the workspace, once.

    `digest` is the hash of the link's secret. The secret is created when the mail is sent and
    stored nowhere: another mail gets another one. `mail_id` is the effect of the newest mail.
    """

    id = PrefixedIdField(prefix="inv")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices)
    inviter = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, blank=True, editable=False)
    mail_id = models.CharField(max_length=40, blank=True)
    mails = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            unique_per_tenant("invitation"),
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_unsettled_once",
            ),
            models.UniqueConstraint(
                fields=["digest"], condition=~Q(digest=""), name="invitation_digest_once"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_settled(self) -> bool:
        return self.accepted_at is not None or self.revoked_at is not None

    @property
    def is_live(self) -> bool:
        """True while its link, if it was sent, can be used."""
        return not self.is_settled and self.expires_at > timezone.now()


class ApiTokenQuerySet(TenantQuerySet):
    def find(self, text: str) -> ApiToken | None:
        """The live token with this text, or None. Compared in constant time."""
        if not text.startswith("dlv_") or not (text.isascii() and text.isprintable()):
            return None
        prefix, _sep, rest = text.removeprefix("dlv_").partition("_")
        token = self.select_related("tenant", "user").filter(key_id=prefix).first()
        digest = token.digest if token else "0" * 64
        same = secrets.compare_digest(digest, hash_token(rest))
        return token if token and same and token.is_live else None


def hash_token(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiToken(TenantOwned):
    """A token of one tenant for scripts: `dlv_<8-character id>_<43 characters>`, stored hashed."""

    key_id = models.CharField(max_length=8, unique=True, default="", editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [unique_per_tenant("api_token")]

    def __str__(self) -> str:
        return f"dlv_{self.key_id}_…"

    @property
    def public_id(self) -> str:
        """Its id in the API. Not the key's id, which is a part of the token's text."""
        return f"tok_{self.key_id}"

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    def fill(self) -> str:
        """Create the secret, store its hash, return the whole token, which cannot be read again."""
        self.key_id, secret = get_random_string(8), secrets.token_urlsafe(32)
        self.digest = hash_token(secret)
        return f"dlv_{self.key_id}_{secret}"

    def touch(self) -> bool:
        """Store the time of use, at most once a minute; True if it was stored."""
        now = timezone.now()
        is_due = self.last_used_at is None or now - self.last_used_at > LAST_USED_RESOLUTION
        if is_due:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
        return is_due


class IdempotentRequest(TenantOwned):
    """The first response to a request with an Idempotency-Key, kept for a day. Encrypted, since it
    may contain a secret that is shown once."""

    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = SecretTextField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            unique_per_tenant("idempotent_request"),
            models.UniqueConstraint(fields=["tenant", "key"], name="idempotency_key_once"),
        ]

    def __str__(self) -> str:
        return self.key
