"""Slack: the messages as it shows them, and how they get there."""
