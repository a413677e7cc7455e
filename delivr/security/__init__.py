"""Limits, headers, and what must not leave the process in errors and logs."""
