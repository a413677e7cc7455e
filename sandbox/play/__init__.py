"""The state of the Google Play stand-in: the app and its tracks, edits, and reviews.

`store.Play` holds everything; the other modules are named after what they are about.
"""
