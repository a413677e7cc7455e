"""Secrets in the database: the encrypted field, key usage, key rotation."""
