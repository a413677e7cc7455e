class Conflict(Exception):
    """What was asked for contradicts the state of things: 409 with a stable `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
