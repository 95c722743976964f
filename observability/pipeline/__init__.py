"""Puts the parts together. The only place where that happens. Each part is imported where it is needed."""
