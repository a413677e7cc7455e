"""Presses of buttons below messages, and whose account in a chat is whose."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from delivr.effects import clock
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, unique_per_tenant
from integrations.models import CommunicationIntegration

LINK = "{link}"  # within an answer: what links the person's account


class PressState(models.TextChoices):
    NEW = "NEW", _("New")
    DONE = "DONE", _("Done")
    REFUSED = "REFUSED", _("Refused")


class ButtonPress(TenantOwned):
    """A button that somebody pressed: stored first, applied by a job afterwards."""

    id = PrefixedIdField(prefix="prs")
    communication = models.ForeignKey(
        CommunicationIntegration, on_delete=models.CASCADE, related_name="presses"
    )
    envelope = models.CharField(max_length=100)  # the chat's id of the report
    team = models.CharField(max_length=30)
    user = models.CharField(max_length=30)  # the chat's ids
    user_name = models.CharField(max_length=80, blank=True)
    channel = models.CharField(max_length=30)
    thread = models.CharField(max_length=40, blank=True)
    action = models.CharField(max_length=60)
    value = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=PressState.choices, default=PressState.NEW)
    answer = models.CharField(max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    pressed_at = models.DateTimeField(default=clock.now, editable=False)
    next_at = models.DateTimeField(default=clock.now)  # when the job tries again
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "button_presses"
        verbose_name_plural = "button presses"
        ordering: ClassVar = ["-pressed_at", "-id"]
        constraints: ClassVar = [
            unique_per_tenant("button_press"),
            models.UniqueConstraint(fields=["communication", "envelope"], name="button_press_once"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_at"], name="button_press_due", condition=models.Q(state="NEW")
            ),
            models.Index(fields=["pressed_at"], name="button_press_old"),  # to delete them
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.user_name or self.user}"


class ChatAccount(TenantOwned):
    """A member's account in a chat, linked by the member."""

    team = models.CharField(max_length=30)
    chat_user = models.CharField(max_length=30)
    chat_name = models.CharField(max_length=80, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_accounts"
    )
    linked_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "chat_accounts"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            unique_per_tenant("chat_account"),
            models.UniqueConstraint(
                fields=["tenant", "team", "chat_user"], name="chat_account_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.chat_name or self.chat_user} is {self.user}"
