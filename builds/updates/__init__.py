"""What is learned of a build, from any source, and what it changes."""
