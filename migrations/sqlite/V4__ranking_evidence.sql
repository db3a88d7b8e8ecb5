-- What ranking has learnt from outcomes: sums that every outcome is added to once, in any order.
--
-- Everything here but ranking_weights follows from the log and may be forgotten and learnt anew.

-- Which outcomes were learnt. Rows below carry the revision that changed them last, so that readers load only what is
-- new; a new epoch means that everything must be loaded anew.
CREATE TABLE ranking_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    learnt_outcome_seq INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO ranking_state(only_row) VALUES (1);

-- Questions that lie close together, by the model that made their vectors; vector_sum is float32, not normalised.
CREATE TABLE question_cell (
    id INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL,
    code INTEGER NOT NULL,
    questions INTEGER NOT NULL CHECK (questions > 0),
    vector_sum BLOB NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (model_id, code)
) STRICT;
CREATE INDEX idx_question_cell_revision ON question_cell(revision);

-- version is the skill_version's id, -1 when unknown; cell the question_cell's, -1 without a question. All sums are
-- weighted by 2^(days/half-life), so they only ever grow.
CREATE TABLE ranking_evidence (
    skill_name TEXT NOT NULL,
    version INTEGER NOT NULL,
    cell INTEGER NOT NULL,
    reporter_slot INTEGER NOT NULL,
    success REAL NOT NULL,
    failure REAL NOT NULL,
    timed REAL NOT NULL,
    log_seconds REAL NOT NULL,
    log_seconds_squared REAL NOT NULL,
    censored REAL NOT NULL,
    censored_log_seconds REAL NOT NULL,
    preferred REAL NOT NULL,
    passed_over REAL NOT NULL,
    squared REAL NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (skill_name, version, cell, reporter_slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_ranking_evidence_revision ON ranking_evidence(revision);

-- Successes after another skill's in one session (kind 'after') and in a phase of a workflow (kind 'phase'). An empty
-- context or skill name holds the total over all of them.
CREATE TABLE ranking_affinity (
    kind TEXT NOT NULL CHECK (kind IN ('after', 'phase')),
    context TEXT NOT NULL,
    skill_name TEXT NOT NULL,
    successes REAL NOT NULL,
    PRIMARY KEY (kind, context, skill_name)
) STRICT, WITHOUT ROWID;

-- A document that was given another name takes its evidence along.
CREATE TABLE skill_rename (
    old_name TEXT NOT NULL,
    new_name TEXT NOT NULL,
    PRIMARY KEY (old_name, new_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_skills_content ON skills(content_hash);
CREATE TRIGGER skill_came_under_another_name AFTER INSERT ON skills WHEN NEW.document_path IS NOT NULL
BEGIN
    INSERT INTO skill_rename(old_name, new_name)
    SELECT old.skill_name, NEW.skill_name FROM skills old
    WHERE old.content_hash = NEW.content_hash AND old.id <> NEW.id AND old.removed_at IS NOT NULL
    UNION
    SELECT old.skill_name, NEW.skill_name FROM skills old
    WHERE old.removed_at = NEW.last_indexed_at AND old.document_path = NEW.document_path AND old.id <> NEW.id
    ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER skill_left_under_another_name AFTER UPDATE OF removed_at ON skills
WHEN NEW.removed_at IS NOT NULL AND OLD.removed_at IS NULL
BEGIN
    INSERT INTO skill_rename(old_name, new_name)
    SELECT NEW.skill_name, later.skill_name FROM skills later
    WHERE later.content_hash = NEW.content_hash AND later.id > NEW.id AND later.removed_at IS NULL
    ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER skill_renamed AFTER INSERT ON skill_rename
BEGIN UPDATE ranking_state SET epoch = epoch + 1; END;

-- The weights that rank, newest last; they change only through `skillrank tune`, which leaves its report.
CREATE TABLE ranking_weights (
    id INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    weights TEXT NOT NULL CHECK (json_type(weights) = 'object'),
    report TEXT NOT NULL CHECK (json_type(report) = 'object'),
    adopted_at TEXT NOT NULL CHECK (length(adopted_at) = 27)
) STRICT;

-- A use that names its question but no search finds the question's vector by this.
CREATE INDEX idx_search_question ON search(query_hash);
