"""Webhooks from CI servers: authenticated, stored, answered, then applied."""
