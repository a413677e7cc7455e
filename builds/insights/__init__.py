"""Figures about a workspace's releases and builds: definitions, charts, export."""
