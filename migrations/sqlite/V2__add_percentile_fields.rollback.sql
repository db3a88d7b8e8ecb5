DROP INDEX idx_skill_outcome_duration;
ALTER TABLE skill_metrics DROP COLUMN percentile_count;
ALTER TABLE skill_metrics DROP COLUMN p99_duration_seconds;
ALTER TABLE skill_metrics DROP COLUMN p95_duration_seconds;
ALTER TABLE skill_metrics DROP COLUMN p50_duration_seconds;
