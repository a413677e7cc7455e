"""Text as Slack wants it."""

# https://docs.slack.dev/messaging/formatting-message-text/#escaping : these three, no others
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """`text` as plain characters in a message: no link, mention or `<!channel>` comes out of it."""
    return text.translate(_ENTITIES)
