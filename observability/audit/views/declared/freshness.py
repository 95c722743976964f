"""Views that tell how fresh sources are."""
