"""The LookML project: generated from `audit/`, and checked without a Looker."""
