-- The vectors of documents are those of before. Coming back to this version, an index run makes the others again.
UPDATE index_state SET pieces_schema = 1 WHERE pieces_schema = 2;
DROP TABLE skill_piece_vectors;
