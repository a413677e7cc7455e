"""Asking CI servers how builds are going."""
