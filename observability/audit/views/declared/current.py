"""Views that tell what is there now: the current models, tests, sources and exposures."""
