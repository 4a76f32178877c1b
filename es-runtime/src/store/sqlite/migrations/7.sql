-- Who would work on a part of a divided version, so that the parts are shared. It saves work, and
-- guards nothing.
CREATE TABLE es_worker (
  kind       TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  slice_from INTEGER NOT NULL,
  who        TEXT    NOT NULL,
  until      INTEGER NOT NULL,
  PRIMARY KEY (kind, name, version, slice_from, who)
) STRICT, WITHOUT ROWID;
