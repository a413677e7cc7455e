"""The state of the App Store Connect stand-in: its resources, and what may happen to them.

`store.AppStore` holds everything; the other modules are named after what they are about.
"""
