-- The instances of services that run on this log, and the events that each can read: what the others
-- may write. A number is never used again. Times are in microseconds.
CREATE TABLE es_instance (
  number  INTEGER PRIMARY KEY AUTOINCREMENT,
  service TEXT    NOT NULL,
  knows   TEXT    NOT NULL,
  started INTEGER NOT NULL,
  seen    INTEGER NOT NULL,
  -- Alive until then, unless it is heard of again.
  until   INTEGER NOT NULL
) STRICT;
