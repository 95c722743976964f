-- The facts of each invocation's winning load. A filter on f.run_date reaches the partitions: no window lies between.
SELECT {columns}
FROM {raw}.source_freshness AS f
JOIN {main}.invocations AS i ON i.load_id = f.load_id
