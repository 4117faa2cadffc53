-- The next records of the partitions ($1 topics, $2 parts, $3 positions): at most $4 records and about $5
-- bytes in all, shared evenly among the partitions that have any. `i` counts the partitions from 1. A row
-- without `off` says that nothing stands at the position: it lies before the start or beyond the head, or
-- (`next` is null) the partition is gone.
WITH waiting AS MATERIALIZED (
    SELECT a.topic, a.part, a.position, a.i, p.next
    FROM unnest($1::smallint[], $2::smallint[], $3::bigint[]) WITH ORDINALITY AS a (topic, part, position, i)
    LEFT JOIN log.part p ON p.topic = a.topic AND p.part = a.part
    WHERE p.next IS DISTINCT FROM a.position
), share AS MATERIALIZED (
    SELECT greatest(1, $4::integer / greatest(1, count(*))) AS records,
           $5::integer / greatest(1, count(*)) AS bytes
    FROM waiting
)
SELECT w.i, w.next, r.off, r.recorded_at, r.key, r.value
FROM waiting w
LEFT JOIN LATERAL (
    SELECT s.segment
    FROM log.segment s
    WHERE s.topic = w.topic AND s.part = w.part AND s.first <= w.position AND w.position < w.next
    ORDER BY s.segment DESC
    LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT b.off, b.recorded_at, b.key, b.value
    FROM (
        SELECT e.off, e.recorded_at, e.key, e.value,
               sum(octet_length(e.value)) OVER (ORDER BY e.off ROWS UNBOUNDED PRECEDING) - octet_length(e.value) AS ahead
        FROM log.record e
        WHERE e.topic = w.topic AND e.part = w.part AND e.segment = s.segment AND e.off >= w.position
        ORDER BY e.off
        LIMIT (SELECT share.records FROM share)
    ) b
    WHERE b.ahead <= (SELECT share.bytes FROM share)
) r ON true
LIMIT $4::integer
