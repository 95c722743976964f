"""dbt's files, read into typed records. Knows dbt's formats and nothing else."""
