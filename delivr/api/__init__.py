"""What all of the HTTP API shares: authentication, errors, lists, limits, its description."""
