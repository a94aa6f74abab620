-- What the route POST /api/smt/push stores. Every version of a reading is kept; the view shows the one that counts.

-- What is remembered of each file.
CREATE TABLE pushed_files (
  file text PRIMARY KEY,
  record jsonb NOT NULL,
  -- Two files with the same content cannot both be in.
  payload text COLLATE "C" UNIQUE GENERATED ALWAYS AS (record #>> '{committed,payload}') STORED
);

CREATE TABLE pushed_rows (
  file text NOT NULL,
  part integer NOT NULL,
  -- From the commit of the file on.
  visible boolean NOT NULL DEFAULT false,
  esiid text NOT NULL,
  start timestamptz NOT NULL,
  minutes integer NOT NULL,
  direction text NOT NULL,
  kwh numeric(12, 5) NOT NULL,
  estimated boolean NOT NULL,
  revision timestamptz,
  entry integer NOT NULL,
  line integer NOT NULL
);
CREATE INDEX ON pushed_rows (file, part);
CREATE INDEX ON pushed_rows (esiid, direction, start) WHERE visible;

-- The newest revision of each reading; between equals an actual one before an estimate, then whichever, but always the
-- same in whatever order the files came.
CREATE VIEW intervals AS
SELECT DISTINCT ON (esiid, direction, start) esiid, start, minutes, direction, kwh, estimated, revision, file, entry, line
FROM pushed_rows JOIN pushed_files USING (file)
WHERE visible
ORDER BY esiid, direction, start, revision DESC NULLS LAST, estimated, payload DESC, line DESC, entry DESC;
