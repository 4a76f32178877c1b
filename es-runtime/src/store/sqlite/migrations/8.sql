-- Who reads the integration streams, as the readers show it by reading. Times are in microseconds.
CREATE TABLE es_consumer (
  stream     TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  consumer   TEXT    NOT NULL,
  -- The last position that it has, and the running hash there, if it said so.
  position   INTEGER NOT NULL,
  hash       BLOB,
  via        TEXT    NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen  INTEGER NOT NULL,
  PRIMARY KEY (stream, version, consumer)
) STRICT, WITHOUT ROWID;
