"""Views that tell what only a look back tells: run times and flaky tests."""
