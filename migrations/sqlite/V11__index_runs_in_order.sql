-- Index runs in the order in which they were recorded, whatever the clock said; and for each document what the file
-- system said of its file when it was indexed, so that a later change shows without reading it.
CREATE TABLE numbered_index_run (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    roots TEXT NOT NULL CHECK (json_valid(roots)),
    report TEXT NOT NULL CHECK (json_valid(report))
) STRICT;
INSERT INTO numbered_index_run(id, started_at, finished_at, roots, report)
SELECT id, started_at, finished_at, roots, report FROM index_run ORDER BY rowid;
DROP TABLE index_run;
ALTER TABLE numbered_index_run RENAME TO index_run;

ALTER TABLE skills ADD COLUMN file_stamp TEXT NOT NULL DEFAULT '';
