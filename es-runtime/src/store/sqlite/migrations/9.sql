-- How far each stream version went out over each transport: behind what its broker confirmed. Times
-- are in microseconds.
CREATE TABLE es_relay (
  transport   TEXT    NOT NULL,
  stream      TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  position    INTEGER NOT NULL DEFAULT 0,
  -- Higher each time that somebody else becomes the relay.
  epoch       INTEGER NOT NULL,
  -- Who is the relay: saves work, and guards nothing.
  owner       TEXT,
  owned_until INTEGER,
  failure     TEXT,
  failed_at   INTEGER,
  PRIMARY KEY (transport, stream, version)
) STRICT, WITHOUT ROWID;
