-- The statements that cost a PostgreSQL server (13 or later) the most time.
-- Needs: CREATE EXTENSION pg_stat_statements; and the same name in shared_preload_libraries.
-- Run:   psql -X -f find_slow.sql

SELECT
    queryid,
    calls,
    round(total_exec_time::numeric / 1000, 1) AS total_s,
    round(mean_exec_time::numeric, 2) AS mean_ms,
    round(stddev_exec_time::numeric, 2) AS stddev_ms,
    round((100 * total_exec_time / sum(total_exec_time) OVER ())::numeric, 1) AS percent_of_time,
    rows / greatest(calls, 1) AS rows_per_call,
    round(100.0 * shared_blks_hit / greatest(shared_blks_hit + shared_blks_read, 1), 1) AS cache_hit_percent,
    left(regexp_replace(query, '\s+', ' ', 'g'), 100) AS query
FROM pg_stat_statements
WHERE calls > 5
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC
LIMIT 20;
