"""Test builds: one build of a pipeline outside every release."""
