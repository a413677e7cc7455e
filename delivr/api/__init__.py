"""What all of the HTTP API shares: who asks, errors, lists, limits, its description."""
