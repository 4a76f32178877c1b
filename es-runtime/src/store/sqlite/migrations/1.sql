-- One log: its identity, and the position under which none is used again.
CREATE TABLE es_log (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  identity BLOB    NOT NULL,
  floor    INTEGER NOT NULL DEFAULT 0,
  -- Commands that were accepted before this moment may be forgotten; never, if it is null.
  forgotten_before INTEGER
) STRICT;

-- Internal events: the truth. `position` is dense in commit order.
CREATE TABLE es_event (
  position       INTEGER PRIMARY KEY,
  stream         TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  slice          INTEGER NOT NULL,
  type           TEXT    NOT NULL,
  schema_version INTEGER NOT NULL,
  min_reader     INTEGER NOT NULL,
  command_id     BLOB,
  payload        TEXT    NOT NULL,
  metadata       TEXT,
  occurred_at    INTEGER NOT NULL,
  UNIQUE (stream, version)
) STRICT;

CREATE TRIGGER es_event_no_update BEFORE UPDATE ON es_event
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER es_event_no_delete BEFORE DELETE ON es_event
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TRIGGER es_event_no_replace BEFORE INSERT ON es_event
WHEN EXISTS (SELECT 1 FROM es_event WHERE position = NEW.position)
  OR EXISTS (SELECT 1 FROM es_event WHERE stream = NEW.stream AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;

-- Accepted commands that may come again, also those that emitted nothing: what makes a retry
-- harmless.
CREATE TABLE es_command (
  stream         TEXT    NOT NULL,
  command_id     BLOB    NOT NULL,
  first_position INTEGER NOT NULL,
  count          INTEGER NOT NULL,
  version        INTEGER NOT NULL,
  at             INTEGER NOT NULL,
  correlation    TEXT,
  PRIMARY KEY (stream, command_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX es_command_correlation ON es_command (correlation) WHERE correlation IS NOT NULL;

-- Commands with events are found by them.
CREATE INDEX es_command_empty ON es_command (first_position, command_id, stream) WHERE count = 0;

CREATE TRIGGER es_command_no_update BEFORE UPDATE ON es_command
BEGIN SELECT RAISE(ABORT, 'accepted commands are never changed'); END;

CREATE TRIGGER es_command_no_replace BEFORE INSERT ON es_command
WHEN EXISTS (SELECT 1 FROM es_command WHERE command_id = NEW.command_id AND stream = NEW.stream)
BEGIN SELECT RAISE(ABORT, 'accepted commands are never replaced'); END;

CREATE TRIGGER es_command_no_delete BEFORE DELETE ON es_command
WHEN ifnull(OLD.at >= (SELECT forgotten_before FROM es_log), 1)
BEGIN SELECT RAISE(ABORT, 'accepted commands are deleted only to be forgotten'); END;

-- Projection versions: of read models and of integration streams.
CREATE TABLE es_projection (
  kind        TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  phase       TEXT    NOT NULL,
  fingerprint TEXT    NOT NULL,
  PRIMARY KEY (kind, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE es_cursor (
  kind       TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  slice_from INTEGER NOT NULL,
  slice_to   INTEGER NOT NULL,
  position   INTEGER NOT NULL,
  PRIMARY KEY (kind, name, version, slice_from)
) STRICT, WITHOUT ROWID;

-- Integration events: dense positions from 1 in each version of each stream.
CREATE TABLE es_published (
  stream      TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  source      INTEGER NOT NULL,
  type        TEXT    NOT NULL,
  subject     TEXT    NOT NULL,
  payload     TEXT    NOT NULL,
  metadata    TEXT,
  occurred_at INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  salt        BLOB    NOT NULL,
  hash        BLOB    NOT NULL,
  PRIMARY KEY (stream, version, position)
) STRICT, WITHOUT ROWID;

-- How far each consumer in this database has come in the streams that it reads.
CREATE TABLE es_inbox (
  consumer TEXT    NOT NULL,
  stream   TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  position INTEGER NOT NULL,
  hash     BLOB    NOT NULL,
  PRIMARY KEY (consumer, stream, version)
) STRICT, WITHOUT ROWID;
