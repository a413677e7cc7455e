"""Django's page for errors with DEBUG=1: what was sent and what variables hold stays out of it."""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


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
