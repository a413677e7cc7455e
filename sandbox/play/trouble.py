"""A refusal of the Play Developer API. Many are known by their text alone."""

from __future__ import annotations


class Trouble(Exception):
    """`status` is Google's word beside the code; "" where its older errors have none."""

    def __init__(
        self, code: int, message: str, status: str = "", reason: str = "", domain: str = "global"
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.reason, self.domain = reason or "badRequest", domain


def bad(message: str) -> Trouble:
    return Trouble(400, message, "INVALID_ARGUMENT", "badRequest")


def not_now(message: str) -> Trouble:
    return Trouble(400, message, "FAILED_PRECONDITION", "failedPrecondition")


def forbidden(message: str = "The caller does not have permission") -> Trouble:
    return Trouble(403, message, "PERMISSION_DENIED", "forbidden")


def missing(message: str) -> Trouble:
    return Trouble(404, message, "NOT_FOUND", "notFound")
