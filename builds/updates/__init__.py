"""Updates about builds from any source, and what they change."""
