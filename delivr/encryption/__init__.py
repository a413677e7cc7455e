"""Secrets in the database: the encrypted field, which keys are in use, rotation."""
