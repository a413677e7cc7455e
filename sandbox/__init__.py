"""Stand-ins for the systems that delivr talks to: GitHub, Jenkins, Slack, Jira Cloud, App Store
Connect and Google Play, over real HTTP on one loopback port.

They are strict and remember what they did, so that a newcomer can walk the whole way without an
account anywhere, and a test can prove what happened outside. Nothing here knows delivr's own code.
"""
