-- The lives of projection versions. Times are in microseconds.
ALTER TABLE es_projection ADD since INTEGER NOT NULL DEFAULT 0;
-- What people and comparisons said of it.
ALTER TABLE es_projection ADD record TEXT NOT NULL DEFAULT '{}';
-- Who ran its code last, and who read it.
ALTER TABLE es_projection ADD run_by TEXT;
ALTER TABLE es_projection ADD run_at INTEGER;
ALTER TABLE es_projection ADD read_by TEXT;
ALTER TABLE es_projection ADD read_at INTEGER;

-- Raised whenever something changes that its workers must know before they go on.
ALTER TABLE es_cursor ADD epoch INTEGER NOT NULL DEFAULT 0;
-- Who works on it: saves work, and guards nothing.
ALTER TABLE es_cursor ADD owner TEXT;
ALTER TABLE es_cursor ADD owned_until INTEGER;
-- Why it stands still.
ALTER TABLE es_cursor ADD failure TEXT;
ALTER TABLE es_cursor ADD failed_at INTEGER;

-- Which version reacts to the events behind a position.
CREATE TABLE es_handover (
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  after   INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (kind, name, after)
) STRICT, WITHOUT ROWID;

-- What happened in the lives of versions, for people to read.
CREATE TABLE es_life (
  number   INTEGER PRIMARY KEY AUTOINCREMENT,
  kind     TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  what     TEXT    NOT NULL,
  phase    TEXT    NOT NULL,
  position INTEGER NOT NULL,
  reason   TEXT,
  by       TEXT    NOT NULL,
  at       INTEGER NOT NULL
) STRICT;

-- Versions from before react to nothing yet: to begin with, those that are read.
INSERT INTO es_handover (kind, name, after, version)
SELECT kind, name, (SELECT coalesce(max(position), 0) FROM es_event),
       coalesce(max(version) FILTER (WHERE phase = 'live'), max(version))
FROM es_projection GROUP BY kind, name;
