"""Stand-ins for the systems that delivr talks to: GitHub, Jenkins, Slack, Jira Cloud, App Store
Connect and Google Play, over real HTTP on one loopback port.

They are strict and record what they did, so that a newcomer can try everything without an account
anywhere, and a test can check what happened at a provider. Nothing here imports delivr's code.
"""
