-- Each project state once: as its lowest committed load stored it. Two loaders of a new manifest may both have.
SELECT {columns}
FROM {raw}.nodes AS f
JOIN (
  SELECT manifest_id, MIN(load_id) AS load_id
  FROM {raw}.invocations
  WHERE CAST(JSON_VALUE(row_counts, '$.nodes') AS INT64) > 0
  GROUP BY manifest_id
) AS first_load
  ON first_load.manifest_id = f.manifest_id AND first_load.load_id = f.load_id
