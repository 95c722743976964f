"""Views that tell what failed."""
