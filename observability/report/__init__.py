"""The triage page: what is broken, why, whom it hurts and what to do next, in one HTML file."""
