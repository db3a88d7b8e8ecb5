-- Who this database is, and what it and other databases add up to by project, skill and day.

-- Moves with the file. A copy has the same id, so a database that is found at two paths is counted once.
CREATE TABLE store_identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL CHECK (length(id) = 32)
) STRICT;
INSERT INTO store_identity(only_row, id) VALUES (1, lower(hex(randomblob(16))));

-- The order in which searches were recorded, as the log of uses has one.
CREATE TABLE search_order (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    search_id TEXT NOT NULL UNIQUE REFERENCES search(id) ON DELETE CASCADE
) STRICT;
INSERT INTO search_order(search_id) SELECT id FROM search ORDER BY searched_at, id;
CREATE TRIGGER search_numbered AFTER INSERT ON search
BEGIN INSERT INTO search_order(search_id) VALUES (NEW.id); END;
CREATE INDEX idx_search_unanswered ON search(searched_at) WHERE confidence IN ('low', 'none');

-- The databases that were read, this one among them, and how far. Beside each number stands what was found there:
-- where that is no longer so, the database was put back to an earlier state, and is read anew.
CREATE TABLE metrics_source (
    id INTEGER PRIMARY KEY,
    store_id TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL,
    invocation_seq INTEGER NOT NULL,
    invocation_id TEXT,
    outcome_seq INTEGER NOT NULL,
    outcome_of TEXT,
    search_seq INTEGER NOT NULL,
    search_id TEXT,
    revision INTEGER NOT NULL,
    aggregated_at TEXT NOT NULL CHECK (length(aggregated_at) = 27)
) STRICT;

-- Uses by the day on which they began. project_id '' stands for uses without a project. reporters are distinct users,
-- or sessions where no user is told, or else single uses.
CREATE TABLE cross_project_metrics (
    day TEXT NOT NULL CHECK (length(day) = 10),
    skill_name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES metrics_source(id),
    invocations INTEGER NOT NULL CHECK (invocations > 0),
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    timed_completions INTEGER NOT NULL,
    total_duration_us INTEGER NOT NULL,
    users INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    reporters INTEGER NOT NULL,
    PRIMARY KEY (day, skill_name, project_id, source_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_cross_project_metrics_skill ON cross_project_metrics(skill_name, day);
CREATE INDEX idx_cross_project_metrics_source ON cross_project_metrics(source_id);

-- Who has used a skill in a project, so that people are counted exactly over any stretch up to now.
CREATE TABLE cross_project_user (
    skill_name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES metrics_source(id),
    user_id TEXT NOT NULL,
    first_day TEXT NOT NULL CHECK (length(first_day) = 10),
    last_day TEXT NOT NULL CHECK (length(last_day) = 10),
    PRIMARY KEY (skill_name, project_id, source_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_cross_project_user_source ON cross_project_user(source_id);

-- How often searches of a day listed a skill at a position, and how often it was then taken from there.
CREATE TABLE skill_exposure (
    day TEXT NOT NULL CHECK (length(day) = 10),
    skill_name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES metrics_source(id),
    position INTEGER NOT NULL CHECK (position >= 1),
    shown INTEGER NOT NULL DEFAULT 0,
    taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, skill_name, project_id, source_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_skill_exposure_skill ON skill_exposure(skill_name, day);
CREATE INDEX idx_skill_exposure_source ON skill_exposure(source_id);
