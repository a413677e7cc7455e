"""Builds on the CI server that may be adopted for a release: it is shown who started them, and a
person decides (`builds.adopting`). None is adopted automatically."""
