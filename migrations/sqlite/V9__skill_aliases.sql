-- A use tracked under another form of a skill's name belongs to that skill: the folder's name, another case, another
-- Unicode form. folded is what store/names.py makes of a name; kind says where it is from: 0 the skill's own name,
-- 1 the name that its document declares, 2 the folder of its document. The store fills this for documents that are
-- indexed already when it opens the database, since SQL cannot fold names.
CREATE TABLE skill_alias (
    folded TEXT NOT NULL,
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    PRIMARY KEY (folded, skill_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_skill_alias_skill ON skill_alias(skill_id);

-- The name as the client gave it, where it is not the skill's own.
ALTER TABLE skill_invocation ADD COLUMN given_name TEXT CHECK (length(given_name) BETWEEN 1 AND 300);
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
    AND NEW.given_name IS OLD.given_name
)
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: UPDATE refused'); END;
