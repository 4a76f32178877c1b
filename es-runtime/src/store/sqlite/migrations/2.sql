-- Aggregates' states, to read fewer events: never the truth, so nothing is lost with a row. Each
-- fingerprint has its own, so that two releases do not take them from each other.
CREATE TABLE es_snapshot (
  stream      TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,
  version     INTEGER NOT NULL CHECK (version > 0),
  state       TEXT    NOT NULL,
  seal        BLOB    NOT NULL,
  at          INTEGER NOT NULL,
  PRIMARY KEY (stream, fingerprint)
) STRICT;
