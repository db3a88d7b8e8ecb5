-- The vectors of a document's first pieces, in order, beside the one of the whole document: a row for each skill and
-- generation. Two bytes a number (IEEE 754 half precision, little-endian), so a vector of 384 takes 768 bytes and its
-- cosines are exact to 0.001. The skill comes first in the key: searches and removals ask by skill.
CREATE TABLE skill_piece_vectors (
    skill_id INTEGER NOT NULL REFERENCES skills(id),
    generation INTEGER NOT NULL REFERENCES index_state(generation),
    vectors BLOB NOT NULL CHECK (length(vectors) > 0),
    PRIMARY KEY (skill_id, generation)
) STRICT;
