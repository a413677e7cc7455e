"""The icons of the pages: strokes on a grid of 16 by 16, drawn for this product.

Each value is the content of an `<svg viewBox="0 0 16 16">` whose stroke has the text's color.
"""

RING = '<circle cx="8" cy="8" r="6.25"/>'


def _path(*commands: str) -> str:
    return "".join(f'<path d="{command}"/>' for command in commands)


def _circle(x: float, y: float, radius: float) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}"/>'


def _rect(x: float, y: float, width: float, height: float, radius: float = 1.5) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>'


ICONS: dict[str, str] = {
    # Statuses: each has its own shape, so that color is never the only sign.
    "check": _path("M3.5 8.5l3 3 6-7"),
    "check-circle": RING + _path("M5.4 8.2l1.8 1.8 3.4-3.9"),
    "x": _path("M4 4l8 8", "M12 4l-8 8"),
    "x-circle": RING + _path("M6 6l4 4", "M10 6l-4 4"),
    "alert": _path("M8 2.2l6.2 11.1H1.8z", "M8 6.6v3", "M8 11.4v.1"),
    "info": RING + _path("M8 7.4v3.6", "M8 5v.1"),
    "clock": RING + _path("M8 4.5V8l2.3 1.5"),
    "circle": _circle(8, 8, 5.75),
    "circle-dashed": '<circle cx="8" cy="8" r="5.75" stroke-dasharray="2.5 2"/>',
    "dot": '<circle cx="8" cy="8" r="3" fill="currentColor"/>',
    "ban": RING + _path("M3.7 3.7l8.6 8.6"),
    "running": _path("M8 1.75A6.25 6.25 0 1 1 1.75 8"),
    "skip": _path("M3 3.5v9L9.5 8z", "M12.5 3.5v9"),
    # Places
    "releases": _path(
        "M8 1.75l5.5 3v6.5l-5.5 3-5.5-3v-6.5z", "M2.5 4.75l5.5 3 5.5-3", "M8 7.75v6.5"
    ),
    "integrations": _path(
        "M5.5 1.75v3", "M10.5 1.75v3", "M3.5 4.75h9v2.5a4.5 4.5 0 0 1-9 0z", "M8 11.75v2.5"
    ),
    "activity": _path("M1.5 8h3l2-5 3 10 2-5h3"),
    "insights": _path("M2 13.75h12", "M4 11V8", "M8 11V3.5", "M12 11V6"),
    "settings": _path("M2 4.5h6.5", "M11.5 4.5H14", "M2 11.5h2.5", "M7.5 11.5H14")
    + _circle(10, 4.5, 1.5)
    + _circle(6, 11.5, 1.5),
    "setup": _path("M2 4.2l1 1 1.8-2.1", "M2 11.2l1 1 1.8-2.1", "M7.5 4.5H14", "M7.5 11.5H14"),
    # Things
    "branch": _circle(4.5, 3.5, 1.75)
    + _circle(4.5, 12.5, 1.75)
    + _circle(11.5, 5, 1.75)
    + _path("M4.5 5.25v5.5", "M11.5 6.75c0 2.5-6 1.5-7 4"),
    "phone": _rect(4.5, 1.5, 7, 13) + _path("M7.25 12.25h1.5"),
    "mute": _path("M2 3.25h12V11H7.5L4 13.75V11H2z", "M6.25 5.4l3.5 3.5", "M9.75 5.4l-3.5 3.5"),
    "chat": _path("M2 3.25h12V11H7.5L4 13.75V11H2z"),
    "ticket": _path("M2 4h12v2.5a1.5 1.5 0 0 0 0 3V12H2V9.5a1.5 1.5 0 0 0 0-3z", "M9.5 6.5v3"),
    "keyboard": _rect(1.5, 4, 13, 8.5)
    + _path("M4.5 7v.1", "M7 7v.1", "M9.5 7v.1", "M11.9 7v.1", "M5.5 10h5"),
    "mail": _rect(1.75, 3, 12.5, 10) + _path("M2.25 4.25L8 9l5.75-4.75"),
    "inbox": _path(
        "M1.75 9h3.5l1 2h3.5l1-2h3.5", "M1.75 9l2-6h8.5l2 6v3.5a1 1 0 0 1-1 1H2.75a1 1 0 0 1-1-1z"
    ),
    "key": _circle(5.25, 10.75, 3) + _path("M7.4 8.6l6.1-6.1", "M11 5l2 2"),
    "lock": _rect(3, 7, 10, 7) + _path("M5 7V5a3 3 0 0 1 6 0v2"),
    "shield": _path("M8 1.5l5.5 2v4.2c0 3.3-2.3 5.6-5.5 6.8-3.2-1.2-5.5-3.5-5.5-6.8V3.5z"),
    "user": _circle(8, 5.25, 2.75) + _path("M2.75 14a5.25 5.25 0 0 1 10.5 0"),
    "users": _circle(6, 5.25, 2.5)
    + _path(
        "M1.5 13.5a4.5 4.5 0 0 1 9 0",
        "M10.5 2.9a2.5 2.5 0 0 1 0 4.7",
        "M12.3 9.6a4.5 4.5 0 0 1 2.2 3.9",
    ),
    "file": _path(
        "M3.5 2A.5.5 0 0 1 4 1.5h5l3.5 3.5v9a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5z", "M9 1.5V5h3.5"
    ),
    "bolt": _path("M9 1.5L3 9h4.5L7 14.5 13 7H8.5z"),
    "link": _path(
        "M6.75 9.25l2.5-2.5",
        "M7.5 4.75l1.4-1.4a2.65 2.65 0 0 1 3.75 3.75l-1.4 1.4",
        "M8.5 11.25l-1.4 1.4A2.65 2.65 0 0 1 3.35 8.9l1.4-1.4",
    ),
    # Actions
    "plus": _path("M8 3v10", "M3 8h10"),
    "copy": _rect(5.75, 5.75, 8.5, 8.5)
    + _path("M3 10.25A1.25 1.25 0 0 1 1.75 9V3A1.25 1.25 0 0 1 3 1.75h6A1.25 1.25 0 0 1 10.25 3"),
    "external": _path(
        "M6.5 3.5h-2a2 2 0 0 0-2 2v6a2 2 0 0 0 2 2h6a2 2 0 0 0 2-2v-2",
        "M9.5 2.5h4v4",
        "M13.5 2.5l-6 6",
    ),
    "refresh": _path("M13.25 8a5.25 5.25 0 1 1-1.55-3.7L13.25 5.9", "M13.25 2.5v3.4h-3.4"),
    "play": _path("M5 3.2v9.6L12.5 8z"),
    "stop": _rect(4, 4, 8, 8, 1),
    "trash": _path(
        "M2.5 4.5h11",
        "M6 4.5V3a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.5",
        "M4 4.5l.6 8.1A1.5 1.5 0 0 0 6.1 14h3.8a1.5 1.5 0 0 0 1.5-1.4l.6-8.1",
    ),
    "pencil": _path("M10.8 2.7l2.5 2.5-8 8-3.1.6.6-3.1z"),
    "send": _path("M14 2L7 9", "M14 2l-4.5 12L7 9 2 6.5z"),
    "search": _circle(7, 7, 4.5) + _path("M10.5 10.5L14 14"),
    "filter": _path("M2 4h12", "M4.5 8h7", "M6.5 12h3"),
    "download": _path("M8 2v8", "M4.75 7L8 10.25 11.25 7", "M2.5 13.5h11"),
    "eye": _path("M1.5 8S3.9 3.5 8 3.5 14.5 8 14.5 8 12.1 12.5 8 12.5 1.5 8 1.5 8z")
    + _circle(8, 8, 2),
    "logout": _path(
        "M6 2.5H4A1.5 1.5 0 0 0 2.5 4v8A1.5 1.5 0 0 0 4 13.5h2", "M10 5l3 3-3 3", "M13 8H6"
    ),
    "more": _path("M3.5 8v.1", "M8 8v.1", "M12.5 8v.1"),
    # Directions
    "chevron-up-down": _path("M5 6l3-3 3 3", "M5 10l3 3 3-3"),
    "chevron-right": _path("M6.25 4l4 4-4 4"),
    "chevron-left": _path("M9.75 4l-4 4 4 4"),
    "arrow-right": _path("M2.5 8h11", "M9.5 4l4 4-4 4"),
    # Color schemes
    "sun": _circle(8, 8, 2.75)
    + _path(
        "M8 1.25v1.5",
        "M8 13.25v1.5",
        "M1.25 8h1.5",
        "M13.25 8h1.5",
        "M3.2 3.2l1.1 1.1",
        "M11.7 11.7l1.1 1.1",
        "M3.2 12.8l1.1-1.1",
        "M11.7 4.3l1.1-1.1",
    ),
    "moon": _path("M13.6 9.6A6 6 0 0 1 6.4 2.4a6 6 0 1 0 7.2 7.2z"),
    "monitor": _rect(2, 2.5, 12, 8.5) + _path("M5.5 14h5", "M8 11v3"),
}
