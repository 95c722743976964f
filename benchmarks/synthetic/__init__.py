"""A made-up dbt project of any size, and the run of it: planned first, then written down as dbt writes it."""
