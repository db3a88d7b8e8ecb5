DROP INDEX idx_skill_invocation_query_kept;
CREATE INDEX idx_skill_invocation_question_kept ON skill_invocation(invoked_at)
WHERE user_query IS NOT NULL OR user_query_hash <> '';
DROP INDEX idx_search_query_kept;
CREATE INDEX idx_search_question_kept ON search(searched_at) WHERE query_hash <> '';
DROP INDEX idx_search_query_hash;
CREATE INDEX idx_search_question ON search(query_hash);

DROP INDEX idx_query_cell_revision;
ALTER TABLE query_cell RENAME TO question_cell;
ALTER TABLE question_cell RENAME COLUMN queries TO questions;
CREATE INDEX idx_question_cell_revision ON question_cell(revision);

ALTER TABLE skill_chunk_vectors RENAME TO skill_piece_vectors;
ALTER TABLE index_state RENAME COLUMN chunks_schema TO pieces_schema;
