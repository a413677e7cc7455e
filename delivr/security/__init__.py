"""Limits, headers, and keeping secrets out of error pages and logs."""
