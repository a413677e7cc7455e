"""Keeps secrets out of the log and out of Django's error page with DEBUG=1."""

from __future__ import annotations

import logging
import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

# Links that grant access to their holder; Django logs the paths of 4xx and 5xx responses.
_LINKS = re.compile(r"(/accounts/(?:invitations|password/reset/key|confirm-email)/)[^\s/?\"']+")


class HideLinks(logging.Filter):
    """Removes the secret from such links; records stay otherwise unchanged."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = _LINKS.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True


class HidesValues(SafeExceptionReporterFilter):
    """Django only hides settings and headers with telling names. A form's fields and the variables
    of its functions may hold a token under any name, so all are hidden: the place of the error and
    its message are enough."""

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        return dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
