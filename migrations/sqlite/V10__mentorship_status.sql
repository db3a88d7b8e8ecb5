-- A mentorship session can be active between being scheduled and being completed. SQLite cannot change a CHECK, so the
-- table is written anew; nothing refers to it.
CREATE TABLE mentorship_sessions_v9 (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 200),
    intern_id TEXT NOT NULL CHECK (length(intern_id) BETWEEN 1 AND 200),
    mentor_id TEXT NOT NULL CHECK (length(mentor_id) BETWEEN 1 AND 200),
    session_focus TEXT NOT NULL,
    project_id TEXT REFERENCES projects(id),
    status TEXT NOT NULL CHECK (status IN ('scheduled', 'active', 'completed', 'cancelled')),
    created_at TEXT NOT NULL CHECK (length(created_at) = 27),
    CHECK (intern_id <> mentor_id)
) STRICT;
INSERT INTO mentorship_sessions_v9(seq, id, intern_id, mentor_id, session_focus, project_id, status, created_at)
SELECT seq, id, intern_id, mentor_id, session_focus, project_id, status, created_at FROM mentorship_sessions;
DROP TABLE mentorship_sessions;
ALTER TABLE mentorship_sessions_v9 RENAME TO mentorship_sessions;
CREATE INDEX idx_mentorship_sessions_intern ON mentorship_sessions(intern_id);
CREATE INDEX idx_mentorship_sessions_mentor ON mentorship_sessions(mentor_id);
CREATE INDEX idx_mentorship_sessions_project ON mentorship_sessions(project_id);
