-- Keys that are set aside, since an event failed. Times are in microseconds.
CREATE TABLE es_parked (
  kind      TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  key       TEXT    NOT NULL,
  -- The event that waits first.
  position  INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  attempts  INTEGER NOT NULL,
  since     INTEGER NOT NULL,
  waiting   INTEGER NOT NULL,
  requested INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, name, version, key)
) STRICT, WITHOUT ROWID;

-- The events that wait.
CREATE TABLE es_parked_event (
  kind     TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  key      TEXT    NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (kind, name, version, key, position)
) STRICT, WITHOUT ROWID;
