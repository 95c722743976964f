"""Views that tell who is hurt: the health of exposures and what impairs it."""
