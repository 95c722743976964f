-- Each lineage once: as its lowest committed load stored it.
SELECT {columns}
FROM {raw}.exposure_ancestors AS f
JOIN (
  SELECT lineage_id, MIN(load_id) AS load_id
  FROM {raw}.invocations
  WHERE CAST(JSON_VALUE(row_counts, '$.exposure_ancestors') AS INT64) > 0
  GROUP BY lineage_id
) AS first_load
  ON first_load.lineage_id = f.lineage_id AND first_load.load_id = f.load_id
