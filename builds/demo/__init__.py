"""The demo workspace and its history."""
