"""Views that tell what is wrong, from its first sight until it is well again."""
