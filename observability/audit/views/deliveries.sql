-- Each step of telling once, as it was written down last: first what was meant, then what became of it.
SELECT {columns}
FROM {raw}.deliveries AS f
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY f.stream, f.seq ORDER BY f.load_id DESC) = 1
