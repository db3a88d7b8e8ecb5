DROP INDEX idx_skill_invocation_words_kept;
DROP INDEX idx_skill_invocation_question_kept;
DROP INDEX idx_search_words_kept;
DROP INDEX idx_search_question_kept;
DROP TRIGGER session_report_after_search;
DROP TRIGGER session_report_after_outcome;
DROP TRIGGER session_report_after_invocation;
DROP TABLE session_report;
DROP TABLE workflow_event;
DROP TRIGGER skill_invocation_no_update;
ALTER TABLE skill_invocation DROP COLUMN user_query_hash;
CREATE TRIGGER skill_invocation_no_update BEFORE UPDATE ON skill_invocation
BEGIN SELECT RAISE(ABORT, 'skill_invocation is append-only: UPDATE refused'); END;
