ALTER TABLE skills DROP COLUMN file_stamp;

CREATE TABLE unnumbered_index_run (
    id TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    roots TEXT NOT NULL CHECK (json_valid(roots)),
    report TEXT NOT NULL CHECK (json_valid(report))
) STRICT;
INSERT INTO unnumbered_index_run(id, started_at, finished_at, roots, report)
SELECT id, started_at, finished_at, roots, report FROM index_run ORDER BY seq;
DROP TABLE index_run;
ALTER TABLE unnumbered_index_run RENAME TO index_run;
CREATE INDEX idx_index_run_finished ON index_run(finished_at DESC);
