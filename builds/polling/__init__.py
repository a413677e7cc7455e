"""Polling CI servers for the state of builds."""
