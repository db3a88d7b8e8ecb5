-- What workflows report about themselves, the reports of ended sessions, and the words of questions made forgettable.

-- The log of workflow events. Rows are only ever added. invocation_id is what the client told: the use it names may
-- be recorded later, or never.
CREATE TABLE workflow_event (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 200),
    session_id TEXT NOT NULL REFERENCES session(id),
    project_id TEXT,
    invocation_id TEXT,
    workflow TEXT NOT NULL CHECK (length(workflow) BETWEEN 1 AND 200),
    phase TEXT CHECK (length(phase) BETWEEN 1 AND 200),
    step TEXT NOT NULL CHECK (length(step) BETWEEN 1 AND 500),
    status TEXT NOT NULL CHECK (status IN ('started', 'passed', 'failed', 'skipped')),
    occurred_at TEXT NOT NULL CHECK (length(occurred_at) = 27),
    duration_seconds REAL CHECK (duration_seconds BETWEEN 0 AND 3153600000),
    payload TEXT NOT NULL DEFAULT '{}' CHECK (json_type(payload) = 'object' AND length(payload) <= 16384),
    recorded_at TEXT NOT NULL CHECK (length(recorded_at) = 27)
) STRICT;
-- Holds all that tells how each step of each session ended, in the order in which that is grouped.
CREATE INDEX idx_workflow_event_step
ON workflow_event(session_id, workflow, step, occurred_at, status, phase, project_id);
CREATE INDEX idx_workflow_event_time ON workflow_event(occurred_at);

CREATE TRIGGER workflow_event_no_update BEFORE UPDATE ON workflow_event
BEGIN SELECT RAISE(ABORT, 'workflow_event is append-only: UPDATE refused'); END;
CREATE TRIGGER workflow_event_no_delete BEFORE DELETE ON workflow_event
BEGIN SELECT RAISE(ABORT, 'workflow_event is append-only: DELETE refused'); END;
CREATE TRIGGER workflow_event_no_replace BEFORE INSERT ON workflow_event
WHEN EXISTS (SELECT 1 FROM workflow_event WHERE id = NEW.id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'workflow_event is append-only: REPLACE refused'); END;

-- What was found when a session ended. Whatever is recorded of the session afterwards deletes its report, whoever
-- writes; it is made anew when somebody asks for it.
CREATE TABLE session_report (
    session_id TEXT PRIMARY KEY REFERENCES session(id),
    report TEXT NOT NULL CHECK (json_type(report) = 'object'),
    made_at TEXT NOT NULL CHECK (length(made_at) = 27)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER session_report_after_event AFTER INSERT ON workflow_event
BEGIN DELETE FROM session_report WHERE session_id = NEW.session_id; END;
CREATE TRIGGER session_report_after_invocation AFTER INSERT ON skill_invocation WHEN NEW.session_id IS NOT NULL
BEGIN DELETE FROM session_report WHERE session_id = NEW.session_id; END;
CREATE TRIGGER session_report_after_outcome AFTER INSERT ON skill_outcome
BEGIN
    DELETE FROM session_report
    WHERE session_id = (SELECT session_id FROM skill_invocation WHERE id = NEW.invocation_id);
END;
CREATE TRIGGER session_report_after_search AFTER INSERT ON search WHEN NEW.session_id IS NOT NULL
BEGIN DELETE FROM session_report WHERE session_id = NEW.session_id; END;

-- A use has the words of its question, or their SHA-256 where words are not kept, or '' where they were forgotten.
-- Forgetting is the one change that the log allows: everything else of the row must stay as it is.
ALTER TABLE skill_invocation ADD COLUMN user_query_hash TEXT CHECK (user_query_hash IS NULL OR user_query IS NULL);
DROP TRIGGER skill_invocation_no_update;
CREATE TRIGGER skill_invocation_no_update BEFORE UPDATE ON skill_invocation
WHEN NOT (
    NEW.user_query IS NULL AND NEW.user_query_hash IS NOT NULL
    AND (OLD.user_query_hash IS NULL OR NEW.user_query_hash = '')
    AND (OLD.user_query IS NOT NULL OR OLD.user_query_hash IS NOT NULL)
    AND (NEW.seq, NEW.id, NEW.skill_name, NEW.invoked_at, NEW.alternatives_considered, NEW.user_context)
        = (OLD.seq, OLD.id, OLD.skill_name, OLD.invoked_at, OLD.alternatives_considered, OLD.user_context)
    AND NEW.skill_version_id IS OLD.skill_version_id AND NEW.session_id IS OLD.session_id
    AND NEW.user_id IS OLD.user_id AND NEW.project_id IS OLD.project_id AND NEW.project_path IS OLD.project_path
    AND NEW.workflow_path IS OLD.workflow_path AND NEW.workflow_phase IS OLD.workflow_phase
    AND NEW.search_id IS OLD.search_id AND NEW.selection_rank IS OLD.selection_rank
)
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: UPDATE refused'); END;

-- What the sweep still has to forget: questions by their age, and words where words are not kept.
CREATE INDEX idx_search_question_kept ON search(searched_at) WHERE query_hash <> '';
CREATE INDEX idx_search_words_kept ON search(searched_at) WHERE query IS NOT NULL;
CREATE INDEX idx_skill_invocation_question_kept ON skill_invocation(invoked_at)
WHERE user_query IS NOT NULL OR user_query_hash <> '';
CREATE INDEX idx_skill_invocation_words_kept ON skill_invocation(invoked_at) WHERE user_query IS NOT NULL;
