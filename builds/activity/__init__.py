"""The activity pages: what was sent, what was received, and what caused what."""
