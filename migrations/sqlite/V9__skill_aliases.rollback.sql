DROP TRIGGER skill_invocation_no_update;
ALTER TABLE skill_invocation DROP COLUMN given_name;
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
DROP TABLE skill_alias;
