"""What is stored: the tables, how dbt's records become their rows, and the views over them."""
