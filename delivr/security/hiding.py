"""What must not be written: into the log, or on Django's page for errors with DEBUG=1."""

from __future__ import annotations

import logging
import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

# Links that let in whoever has them; Django logs the path of what it answers with 4xx and 5xx.
_LINKS = re.compile(r"(/accounts/(?:invitations|password/reset/key|confirm-email)/)[^\s/?\"']+")


class HideLinks(logging.Filter):
    """Cuts the secret out of such links; records stay otherwise as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = _LINKS.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True


class HidesValues(SafeExceptionReporterFilter):
    """Django hides the settings and headers whose names give them away. A form's fields and the
    variables of a function that handles them may hold a token under any name, so all are hidden:
    the place of the error and its words tell enough."""

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        return dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
