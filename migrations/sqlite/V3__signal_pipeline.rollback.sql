DROP TABLE user_skill_signals;
DROP TABLE mentorship_sessions;
DROP TABLE progress_updates;
DROP TABLE project_members;
DROP TABLE project_skills;
DROP TABLE projects;
-- Skills without a document came into being by a project's declaration alone; V2 would serve them as documents.
DELETE FROM skills WHERE document_path IS NULL;
