-- Projects and what happens in them, and user_skill_signals: evidence that a user worked with a skill inside a
-- declared scope. Signals are the only source of skill analytics, so nothing here is an aggregate.

CREATE TABLE projects (
    id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 200 AND instr(id, '/') = 0),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
    paths TEXT NOT NULL DEFAULT '[]' CHECK (json_type(paths) = 'array'),
    metadata TEXT NOT NULL DEFAULT '{}' CHECK (json_type(metadata) = 'object'),
    created_at TEXT NOT NULL CHECK (length(created_at) = 27),
    completed_at TEXT CHECK (length(completed_at) = 27)
) STRICT;

CREATE TABLE project_skills (
    project_id TEXT NOT NULL REFERENCES projects(id),
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    declared_at TEXT NOT NULL CHECK (length(declared_at) = 27),
    PRIMARY KEY (project_id, skill_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_project_skills_skill ON project_skills(skill_id);

CREATE TABLE project_members (
    project_id TEXT NOT NULL REFERENCES projects(id),
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 200),
    joined_at TEXT NOT NULL CHECK (length(joined_at) = 27),
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_project_members_user ON project_members(user_id);

CREATE TABLE progress_updates (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES projects(id),
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 200),
    content TEXT NOT NULL,
    idempotency_key TEXT CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    created_at TEXT NOT NULL CHECK (length(created_at) = 27),
    UNIQUE (project_id, user_id, idempotency_key)
) STRICT;
CREATE INDEX idx_progress_updates_project ON progress_updates(project_id);
CREATE INDEX idx_progress_updates_user ON progress_updates(user_id);

CREATE TABLE mentorship_sessions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 200),
    intern_id TEXT NOT NULL CHECK (length(intern_id) BETWEEN 1 AND 200),
    mentor_id TEXT NOT NULL CHECK (length(mentor_id) BETWEEN 1 AND 200),
    session_focus TEXT NOT NULL,
    project_id TEXT REFERENCES projects(id),
    status TEXT NOT NULL CHECK (status IN ('scheduled', 'completed', 'cancelled')),
    created_at TEXT NOT NULL CHECK (length(created_at) = 27),
    CHECK (intern_id <> mentor_id)
) STRICT;
CREATE INDEX idx_mentorship_sessions_intern ON mentorship_sessions(intern_id);
CREATE INDEX idx_mentorship_sessions_mentor ON mentorship_sessions(mentor_id);
CREATE INDEX idx_mentorship_sessions_project ON mentorship_sessions(project_id);

-- project_id is not told by the emitter's caller but looked up from the source, so that charts can be asked for one
-- project without reading any other table.
CREATE TABLE user_skill_signals (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 200),
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    source_type TEXT NOT NULL CHECK (source_type IN ('project', 'update', 'mentorship')),
    source_id TEXT NOT NULL CHECK (length(source_id) BETWEEN 1 AND 200),
    signal_type TEXT NOT NULL CHECK (signal_type IN ('joined', 'update', 'completed')),
    project_id TEXT NOT NULL REFERENCES projects(id),
    weight REAL NOT NULL CHECK (weight > 0 AND weight <= 1000),
    context TEXT CHECK (json_type(context) = 'object'),
    created_at TEXT NOT NULL CHECK (length(created_at) = 27),
    UNIQUE (user_id, skill_id, source_type, source_id, signal_type)
) STRICT;
-- What counts signals reads one of these and not the table: by time, user, project or skill.
CREATE INDEX idx_user_skill_signals_time ON user_skill_signals(created_at, skill_id);
CREATE INDEX idx_user_skill_signals_user ON user_skill_signals(user_id, created_at, skill_id);
CREATE INDEX idx_user_skill_signals_project ON user_skill_signals(project_id, created_at, skill_id);
CREATE INDEX idx_user_skill_signals_skill ON user_skill_signals(skill_id, created_at);

CREATE TRIGGER user_skill_signals_no_update BEFORE UPDATE ON user_skill_signals
BEGIN SELECT RAISE(ABORT, 'user_skill_signals is append-only: UPDATE refused'); END;
CREATE TRIGGER user_skill_signals_no_delete BEFORE DELETE ON user_skill_signals
BEGIN SELECT RAISE(ABORT, 'user_skill_signals is append-only: DELETE refused'); END;
CREATE TRIGGER user_skill_signals_no_replace BEFORE INSERT ON user_skill_signals
WHEN EXISTS (SELECT 1 FROM user_skill_signals WHERE id = NEW.id
             OR (user_id = NEW.user_id AND skill_id = NEW.skill_id AND source_type = NEW.source_type
                 AND source_id = NEW.source_id AND signal_type = NEW.signal_type))
BEGIN SELECT RAISE(ABORT, 'user_skill_signals is append-only: REPLACE refused'); END;
-- The policy on mentorship is this trigger: the migration that lifts it drops it, and says below what its sources are.
CREATE TRIGGER user_skill_signals_no_mentorship BEFORE INSERT ON user_skill_signals
WHEN NEW.source_type = 'mentorship'
BEGIN SELECT RAISE(ABORT, 'mentorship emits no skill signals'); END;
-- A signal has an origin and a scope: a member's project or a user's update, and a skill the project has declared.
CREATE TRIGGER user_skill_signals_has_source BEFORE INSERT ON user_skill_signals
WHEN (NEW.source_type = 'project' AND (NEW.source_id <> NEW.project_id OR NOT EXISTS (
          SELECT 1 FROM project_members WHERE project_id = NEW.project_id AND user_id = NEW.user_id)))
  OR (NEW.source_type = 'update' AND NOT EXISTS (
          SELECT 1 FROM progress_updates
          WHERE id = NEW.source_id AND user_id = NEW.user_id AND project_id = NEW.project_id))
BEGIN SELECT RAISE(ABORT, 'a signal needs a recorded source of the same user'); END;
CREATE TRIGGER user_skill_signals_in_scope BEFORE INSERT ON user_skill_signals
WHEN NEW.source_type <> 'mentorship'
 AND NOT EXISTS (SELECT 1 FROM project_skills WHERE project_id = NEW.project_id AND skill_id = NEW.skill_id)
BEGIN SELECT RAISE(ABORT, 'a signal needs a skill that its project has declared'); END;
