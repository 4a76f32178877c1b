-- A consumer may be divided by key: each part has a cursor of its own. Times are in microseconds.
CREATE TABLE es_inbox_divided (
  consumer    TEXT    NOT NULL,
  stream      TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  slice_from  INTEGER NOT NULL DEFAULT 0,
  slice_to    INTEGER NOT NULL DEFAULT 1024,
  position    INTEGER NOT NULL,
  hash        BLOB    NOT NULL,
  -- Raised by what its worker must know before it goes on.
  epoch       INTEGER NOT NULL DEFAULT 0,
  -- How many parts there are to be, once all stand at one position.
  wanted      INTEGER,
  -- Who works on it: saves work, and guards nothing.
  owner       TEXT,
  owned_until INTEGER,
  PRIMARY KEY (consumer, stream, version, slice_from)
) STRICT, WITHOUT ROWID;
INSERT INTO es_inbox_divided (consumer, stream, version, position, hash)
SELECT consumer, stream, version, position, hash FROM es_inbox;
DROP TABLE es_inbox;
ALTER TABLE es_inbox_divided RENAME TO es_inbox;

-- Keys that a consumer has set aside, since an event failed.
CREATE TABLE es_inbox_key (
  consumer  TEXT    NOT NULL,
  stream    TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  key       TEXT    NOT NULL,
  -- The event that waits first.
  position  INTEGER NOT NULL,
  -- Why that one failed last, and how often it did.
  reason    TEXT    NOT NULL,
  attempts  INTEGER NOT NULL,
  since     INTEGER NOT NULL,
  failed_at INTEGER NOT NULL,
  -- When it is tried again.
  due       INTEGER NOT NULL,
  waiting   INTEGER NOT NULL,
  PRIMARY KEY (consumer, stream, version, key)
) STRICT, WITHOUT ROWID;

-- The events that wait, whole: whoever published them may be away.
CREATE TABLE es_inbox_event (
  consumer TEXT    NOT NULL,
  stream   TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  key      TEXT    NOT NULL,
  position INTEGER NOT NULL,
  event    TEXT    NOT NULL,
  PRIMARY KEY (consumer, stream, version, key, position)
) STRICT, WITHOUT ROWID;

-- Events that somebody gave up.
CREATE TABLE es_dead_letter (
  consumer TEXT    NOT NULL,
  stream   TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  position INTEGER NOT NULL,
  key      TEXT    NOT NULL,
  event    TEXT    NOT NULL,
  -- Why its key was set aside, and why it was given up.
  failure  TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  by       TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (consumer, stream, version, position)
) STRICT, WITHOUT ROWID;
