-- Percentiles of the durations of completed uses, recomputed at a session's end and on request.
-- percentile_count says how many durations they were computed from.
ALTER TABLE skill_metrics ADD COLUMN p50_duration_seconds REAL;
ALTER TABLE skill_metrics ADD COLUMN p95_duration_seconds REAL;
ALTER TABLE skill_metrics ADD COLUMN p99_duration_seconds REAL;
ALTER TABLE skill_metrics ADD COLUMN percentile_count INTEGER NOT NULL DEFAULT 0;
CREATE INDEX idx_skill_outcome_duration ON skill_outcome(skill_name, duration_seconds)
    WHERE outcome = 'completed' AND duration_seconds IS NOT NULL;
