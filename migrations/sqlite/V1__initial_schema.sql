-- The catalogue and its index, the searches, the tracking log and what is derived from it.
--
-- Times are UTC text of one fixed width (2026-01-31T23:59:59.000000Z), so they compare as text. Durations are
-- seconds; sums of durations are whole microseconds, so that a sum never depends on the order of its parts.
-- skill_vector is not here: its dimension is the model's, so the store creates it with the first generation.

CREATE TABLE skills (
    id INTEGER PRIMARY KEY,
    skill_name TEXT NOT NULL UNIQUE,
    declared_name TEXT,
    category TEXT,
    description TEXT,
    document_path TEXT,
    root TEXT,
    content_hash TEXT,
    license TEXT,
    compatibility TEXT,
    allowed_tools TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(allowed_tools)),
    metadata TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    problems TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(problems)),
    copies TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(copies)),
    index_seq INTEGER NOT NULL DEFAULT 0,
    first_indexed_at TEXT,
    last_indexed_at TEXT,
    removed_at TEXT
) STRICT;
CREATE UNIQUE INDEX idx_skills_path ON skills(document_path) WHERE removed_at IS NULL;
CREATE INDEX idx_skills_seq ON skills(index_seq);
CREATE INDEX idx_skills_category ON skills(category);

CREATE TABLE skill_version (
    id INTEGER PRIMARY KEY,
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    content_hash TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    first_indexed_at TEXT NOT NULL,
    last_indexed_at TEXT NOT NULL,
    UNIQUE (skill_id, content_hash)
) STRICT;

CREATE TABLE skill_chunk (
    id INTEGER PRIMARY KEY,
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
    kind TEXT NOT NULL CHECK (kind IN ('summary', 'body')),
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    span_start INTEGER NOT NULL CHECK (span_start >= 0),
    span_end INTEGER NOT NULL CHECK (span_end >= span_start),
    UNIQUE (skill_id, ordinal)
) STRICT;

CREATE VIRTUAL TABLE skill_fts USING fts5(name, description, body, tokenize = 'porter unicode61 remove_diacritics 2');

-- One row per generation of vectors. At most one is live (served) and one is being built.
CREATE TABLE index_state (
    generation INTEGER PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('building', 'live', 'retired')),
    model_id TEXT NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    pieces_schema INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    live_at TEXT
) STRICT;
CREATE UNIQUE INDEX idx_index_state_status ON index_state(status) WHERE status IN ('building', 'live');

-- Which content of a skill a generation holds the vectors of: what lets a killed run go on where it was.
CREATE TABLE skill_embedded (
    generation INTEGER NOT NULL REFERENCES index_state(generation),
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    content_hash TEXT NOT NULL,
    PRIMARY KEY (generation, skill_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE index_run (
    id TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    roots TEXT NOT NULL CHECK (json_valid(roots)),
    report TEXT NOT NULL CHECK (json_valid(report))
) STRICT;
CREATE INDEX idx_index_run_finished ON index_run(finished_at DESC);

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    project_id TEXT,
    user_id TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    CHECK (ended_at IS NULL OR ended_at >= started_at)
) STRICT;
CREATE INDEX idx_session_open ON session(started_at) WHERE ended_at IS NULL;

CREATE TABLE search (
    id TEXT PRIMARY KEY,
    searched_at TEXT NOT NULL,
    query TEXT,
    query_hash TEXT NOT NULL,
    query_vector BLOB,
    model_id TEXT,
    session_id TEXT REFERENCES session(id),
    user_id TEXT,
    project_id TEXT,
    filters TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(filters)),
    weights_version TEXT NOT NULL,
    explored INTEGER NOT NULL DEFAULT 0 CHECK (explored IN (0, 1)),
    confidence TEXT NOT NULL CHECK (confidence IN ('high', 'medium', 'low', 'none')),
    degraded TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(degraded)),
    elapsed_ms REAL NOT NULL CHECK (elapsed_ms >= 0)
) STRICT;
CREATE INDEX idx_search_time ON search(searched_at);
CREATE INDEX idx_search_session ON search(session_id);

CREATE TABLE search_result (
    search_id TEXT NOT NULL REFERENCES search(id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 1),
    skill_name TEXT NOT NULL,
    score REAL NOT NULL,
    components TEXT NOT NULL CHECK (json_valid(components)),
    PRIMARY KEY (search_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_search_result_skill ON search_result(skill_name);

-- The log: what was started, and how it ended. Rows are only ever added.
CREATE TABLE skill_invocation (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 200),
    skill_name TEXT NOT NULL CHECK (length(skill_name) BETWEEN 1 AND 300),
    skill_version_id INTEGER REFERENCES skill_version(id),
    invoked_at TEXT NOT NULL CHECK (length(invoked_at) = 27),
    session_id TEXT REFERENCES session(id),
    user_id TEXT,
    project_id TEXT,
    project_path TEXT,
    workflow_path TEXT,
    workflow_phase TEXT,
    search_id TEXT,
    selection_rank INTEGER CHECK (selection_rank >= 1),
    alternatives_considered TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(alternatives_considered)),
    user_query TEXT,
    user_context TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(user_context))
) STRICT;
CREATE INDEX idx_skill_invocation_skill_time ON skill_invocation(skill_name, invoked_at DESC);
CREATE INDEX idx_skill_invocation_session ON skill_invocation(session_id) WHERE session_id IS NOT NULL;
CREATE INDEX idx_skill_invocation_search ON skill_invocation(search_id) WHERE search_id IS NOT NULL;

CREATE TABLE skill_outcome (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    invocation_id TEXT NOT NULL UNIQUE REFERENCES skill_invocation(id),
    skill_name TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('completed', 'failed', 'abandoned', 'cancelled')),
    finished_at TEXT NOT NULL CHECK (length(finished_at) = 27),
    duration_seconds REAL CHECK (duration_seconds BETWEEN 0 AND 3153600000),
    error_type TEXT,
    follow_up_actions TEXT NOT NULL DEFAULT '[]' CHECK (json_type(follow_up_actions) = 'array'),
    source TEXT NOT NULL CHECK (source IN ('client', 'session_end', 'sweep', 'import'))
) STRICT;

-- Uses that have started and not finished: what a session's end and the sweep look at.
CREATE TABLE open_invocation (
    invocation_id TEXT PRIMARY KEY REFERENCES skill_invocation(id),
    invoked_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_open_invocation_time ON open_invocation(invoked_at);

CREATE VIEW skill_invocation_log AS
SELECT i.id, i.skill_name, i.skill_version_id, i.invoked_at, i.workflow_path, i.workflow_phase,
       coalesce(o.outcome = 'completed', 0) AS completed, o.outcome, o.finished_at, o.duration_seconds,
       o.error_type, i.session_id, coalesce(o.follow_up_actions, '[]') AS follow_up_actions, o.source,
       i.user_id, i.project_id, i.project_path, i.search_id, i.selection_rank, i.alternatives_considered,
       i.user_query, i.user_context
FROM skill_invocation i LEFT JOIN skill_outcome o ON o.invocation_id = i.id;

-- Refuse every change to the log. The INSERT triggers see a REPLACE before it deletes, whatever the
-- connection's recursive_triggers setting is.
CREATE TRIGGER skill_invocation_no_update BEFORE UPDATE ON skill_invocation
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: UPDATE refused'); END;
CREATE TRIGGER skill_invocation_no_delete BEFORE DELETE ON skill_invocation
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: DELETE refused'); END;
CREATE TRIGGER skill_invocation_no_replace BEFORE INSERT ON skill_invocation
WHEN EXISTS (SELECT 1 FROM skill_invocation WHERE id = NEW.id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: REPLACE refused'); END;
CREATE TRIGGER skill_outcome_no_update BEFORE UPDATE ON skill_outcome
BEGIN SELECT RAISE(ABORT, 'skill_outcome is append-only: UPDATE refused'); END;
CREATE TRIGGER skill_outcome_no_delete BEFORE DELETE ON skill_outcome
BEGIN SELECT RAISE(ABORT, 'skill_outcome is append-only: DELETE refused'); END;
CREATE TRIGGER skill_outcome_no_replace BEFORE INSERT ON skill_outcome
WHEN EXISTS (SELECT 1 FROM skill_outcome WHERE invocation_id = NEW.invocation_id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'skill_outcome is append-only: REPLACE refused'); END;
CREATE TRIGGER skill_outcome_same_skill BEFORE INSERT ON skill_outcome
WHEN NOT EXISTS (SELECT 1 FROM skill_invocation WHERE id = NEW.invocation_id AND skill_name = NEW.skill_name)
BEGIN SELECT RAISE(ABORT, 'skill_outcome must name a recorded invocation and its skill'); END;

-- What the log adds up to. Ratios and the number running are generated from the counts, so they cannot drift.
CREATE TABLE skill_metrics (
    skill_name TEXT PRIMARY KEY,
    total_invocations INTEGER NOT NULL DEFAULT 0,
    completed_invocations INTEGER NOT NULL DEFAULT 0,
    abandoned_invocations INTEGER NOT NULL DEFAULT 0,
    failed_invocations INTEGER NOT NULL DEFAULT 0,
    cancelled_invocations INTEGER NOT NULL DEFAULT 0,
    timed_completions INTEGER NOT NULL DEFAULT 0,
    total_duration_us INTEGER NOT NULL DEFAULT 0,
    min_duration_seconds REAL,
    max_duration_seconds REAL,
    first_invoked TEXT,
    last_invoked TEXT,
    running_invocations INTEGER NOT NULL
        GENERATED ALWAYS AS (total_invocations - completed_invocations - abandoned_invocations) VIRTUAL,
    total_duration_seconds REAL NOT NULL GENERATED ALWAYS AS (total_duration_us / 1e6) VIRTUAL,
    completion_rate REAL GENERATED ALWAYS AS (
        CASE WHEN completed_invocations + abandoned_invocations > 0
             THEN 100.0 * completed_invocations / (completed_invocations + abandoned_invocations) END) VIRTUAL,
    avg_duration_seconds REAL GENERATED ALWAYS AS (
        CASE WHEN timed_completions > 0 THEN total_duration_us / 1e6 / timed_completions END) VIRTUAL
) STRICT, WITHOUT ROWID;

CREATE TABLE skill_metric_count (
    id INTEGER PRIMARY KEY,
    skill_name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('workflow_path', 'error_type', 'follow_up_action')),
    value TEXT NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    timed_completions INTEGER NOT NULL DEFAULT 0,
    total_duration_us INTEGER NOT NULL DEFAULT 0,
    UNIQUE (skill_name, kind, value)
) STRICT;
CREATE INDEX idx_skill_metric_count_top ON skill_metric_count(kind, n DESC);

CREATE VIRTUAL TABLE workflow_path_fts USING fts5(value, content = 'skill_metric_count', content_rowid = 'id');
CREATE TRIGGER workflow_path_indexed AFTER INSERT ON skill_metric_count WHEN NEW.kind = 'workflow_path'
BEGIN INSERT INTO workflow_path_fts(rowid, value) VALUES (NEW.id, NEW.value); END;
CREATE TRIGGER workflow_path_unindexed AFTER DELETE ON skill_metric_count WHEN OLD.kind = 'workflow_path'
BEGIN INSERT INTO workflow_path_fts(workflow_path_fts, rowid, value) VALUES ('delete', OLD.id, OLD.value); END;

CREATE TABLE session_skill (
    session_id TEXT NOT NULL REFERENCES session(id),
    skill_name TEXT NOT NULL,
    invocation_count INTEGER NOT NULL DEFAULT 0,
    completed_count INTEGER NOT NULL DEFAULT 0,
    abandoned_count INTEGER NOT NULL DEFAULT 0,
    first_invoked_at TEXT NOT NULL,
    last_invoked_at TEXT NOT NULL,
    total_duration_us INTEGER NOT NULL DEFAULT 0,
    total_duration_seconds REAL NOT NULL GENERATED ALWAYS AS (total_duration_us / 1e6) VIRTUAL,
    PRIMARY KEY (session_id, skill_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE skill_metrics_summary (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    watermark TEXT NOT NULL,
    refreshed_at TEXT NOT NULL,
    summary TEXT NOT NULL CHECK (json_valid(summary))
) STRICT;

-- Uses by the hour in which they started, the first 13 characters of their time: what timelines are made of.
CREATE TABLE skill_hour (
    skill_name TEXT NOT NULL,
    hour TEXT NOT NULL CHECK (length(hour) = 13),
    invocations INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    finished INTEGER NOT NULL DEFAULT 0,
    timed_completions INTEGER NOT NULL DEFAULT 0,
    total_duration_us INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (skill_name, hour)
) STRICT, WITHOUT ROWID;

-- While this table has its row, the two triggers below rest: a bulk import counts its rows all at once instead. The
-- row refers to one that can never exist, so a transaction that leaves it behind cannot commit.
CREATE TABLE projection_paused (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    must_resume INTEGER NOT NULL DEFAULT 2 CHECK (must_resume = 2)
        REFERENCES projection_paused(only_row) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TRIGGER skill_invocation_counted AFTER INSERT ON skill_invocation
WHEN NOT EXISTS (SELECT 1 FROM projection_paused)
BEGIN
    INSERT INTO open_invocation(invocation_id, invoked_at) VALUES (NEW.id, NEW.invoked_at);
    INSERT INTO skill_metrics(skill_name, total_invocations, first_invoked, last_invoked)
    VALUES (NEW.skill_name, 1, NEW.invoked_at, NEW.invoked_at)
    ON CONFLICT (skill_name) DO UPDATE SET
        total_invocations = total_invocations + 1,
        first_invoked = min(first_invoked, excluded.first_invoked),
        last_invoked = max(last_invoked, excluded.last_invoked);
    INSERT INTO skill_hour(skill_name, hour, invocations) VALUES (NEW.skill_name, substr(NEW.invoked_at, 1, 13), 1)
    ON CONFLICT (skill_name, hour) DO UPDATE SET invocations = invocations + 1;
    INSERT INTO skill_metric_count(skill_name, kind, value, n)
    SELECT NEW.skill_name, 'workflow_path', NEW.workflow_path, 1 WHERE NEW.workflow_path IS NOT NULL
    ON CONFLICT (skill_name, kind, value) DO UPDATE SET n = n + 1;
    INSERT INTO session_skill(session_id, skill_name, invocation_count, first_invoked_at, last_invoked_at)
    SELECT NEW.session_id, NEW.skill_name, 1, NEW.invoked_at, NEW.invoked_at WHERE NEW.session_id IS NOT NULL
    ON CONFLICT (session_id, skill_name) DO UPDATE SET
        invocation_count = invocation_count + 1,
        first_invoked_at = min(first_invoked_at, excluded.first_invoked_at),
        last_invoked_at = max(last_invoked_at, excluded.last_invoked_at);
END;

CREATE TRIGGER skill_outcome_counted AFTER INSERT ON skill_outcome
WHEN NOT EXISTS (SELECT 1 FROM projection_paused)
BEGIN
    DELETE FROM open_invocation WHERE invocation_id = NEW.invocation_id;
    UPDATE skill_metrics SET
        completed_invocations = completed_invocations + (NEW.outcome = 'completed'),
        abandoned_invocations = abandoned_invocations + (NEW.outcome <> 'completed'),
        failed_invocations = failed_invocations + (NEW.outcome = 'failed'),
        cancelled_invocations = cancelled_invocations + (NEW.outcome = 'cancelled')
    WHERE skill_name = NEW.skill_name;
    UPDATE skill_metrics SET
        timed_completions = timed_completions + 1,
        total_duration_us = total_duration_us + CAST(round(NEW.duration_seconds * 1e6) AS INTEGER),
        min_duration_seconds = min(coalesce(min_duration_seconds, NEW.duration_seconds), NEW.duration_seconds),
        max_duration_seconds = max(coalesce(max_duration_seconds, NEW.duration_seconds), NEW.duration_seconds)
    WHERE NEW.outcome = 'completed' AND NEW.duration_seconds IS NOT NULL
      AND skill_name = NEW.skill_name;
    UPDATE skill_hour SET
        completed = completed + (NEW.outcome = 'completed'),
        finished = finished + 1,
        timed_completions = timed_completions + (NEW.outcome = 'completed' AND NEW.duration_seconds IS NOT NULL),
        total_duration_us = total_duration_us + CASE
            WHEN NEW.outcome = 'completed' AND NEW.duration_seconds IS NOT NULL
            THEN CAST(round(NEW.duration_seconds * 1e6) AS INTEGER) ELSE 0 END
    WHERE skill_name = NEW.skill_name
      AND hour = (SELECT substr(invoked_at, 1, 13) FROM skill_invocation WHERE id = NEW.invocation_id);
    UPDATE skill_metric_count SET
        timed_completions = timed_completions + 1,
        total_duration_us = total_duration_us + CAST(round(NEW.duration_seconds * 1e6) AS INTEGER)
    WHERE NEW.outcome = 'completed' AND NEW.duration_seconds IS NOT NULL AND kind = 'workflow_path'
      AND skill_name = NEW.skill_name
      AND value = (SELECT workflow_path FROM skill_invocation WHERE id = NEW.invocation_id);
    INSERT INTO skill_metric_count(skill_name, kind, value, n)
    SELECT NEW.skill_name, 'error_type', NEW.error_type, 1 WHERE NEW.error_type IS NOT NULL
    ON CONFLICT (skill_name, kind, value) DO UPDATE SET n = n + 1;
    INSERT INTO skill_metric_count(skill_name, kind, value, n)
    SELECT NEW.skill_name, 'follow_up_action', action.value, count(*)
    FROM json_each(NEW.follow_up_actions) action WHERE action.type = 'text' GROUP BY action.value
    ON CONFLICT (skill_name, kind, value) DO UPDATE SET n = n + excluded.n;
    UPDATE session_skill SET
        completed_count = completed_count + (NEW.outcome = 'completed'),
        abandoned_count = abandoned_count + (NEW.outcome <> 'completed'),
        total_duration_us = total_duration_us + CASE
            WHEN NEW.outcome = 'completed' AND NEW.duration_seconds IS NOT NULL
            THEN CAST(round(NEW.duration_seconds * 1e6) AS INTEGER) ELSE 0 END
    WHERE session_id = (SELECT session_id FROM skill_invocation WHERE id = NEW.invocation_id)
      AND skill_name = NEW.skill_name;
END;
