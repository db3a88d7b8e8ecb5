-- The names of the glossary (CONTRIBUTING.md): what is asked is a query, a part of a document is a chunk. Only names
-- change; no row is touched, and the index stays as it is.
ALTER TABLE index_state RENAME COLUMN pieces_schema TO chunks_schema;
ALTER TABLE skill_piece_vectors RENAME TO skill_chunk_vectors;

ALTER TABLE question_cell RENAME COLUMN questions TO queries;
ALTER TABLE question_cell RENAME TO query_cell;
DROP INDEX idx_question_cell_revision;
CREATE INDEX idx_query_cell_revision ON query_cell(revision);

DROP INDEX idx_search_question;
CREATE INDEX idx_search_query_hash ON search(query_hash);
DROP INDEX idx_search_question_kept;
CREATE INDEX idx_search_query_kept ON search(searched_at) WHERE query_hash <> '';
DROP INDEX idx_skill_invocation_question_kept;
CREATE INDEX idx_skill_invocation_query_kept ON skill_invocation(invoked_at)
WHERE user_query IS NOT NULL OR user_query_hash <> '';
