-- The current exposures, and on how much they rest; `exposure_health` says how well that is.
WITH resting AS (
  SELECT a.lineage_id, a.exposure_unique_id, COUNT(*) AS ancestors,
    CAST(COUNTIF(STARTS_WITH(a.ancestor_unique_id, 'source.')) AS INT64) AS ancestor_sources
  FROM {main}.exposure_ancestors AS a
  GROUP BY a.lineage_id, a.exposure_unique_id
)
SELECT
  c.project_name, c.environment, n.unique_id, n.name, n.package_name, n.original_file_path, n.description, n.tags,
  n.meta, n.owner, n.group_name, c.manifest_id, n.owner_email, n.label, n.exposure_type, n.maturity, n.url,
  n.depends_on,
  COALESCE(r.ancestors, 0) AS ancestors, COALESCE(r.ancestor_sources, 0) AS ancestor_sources
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
LEFT JOIN resting AS r ON r.lineage_id = c.lineage_id AND r.exposure_unique_id = n.unique_id
WHERE n.resource_type = 'exposure'
