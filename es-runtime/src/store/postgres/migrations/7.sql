-- Who would work on a part of a divided version, so that the parts are shared. It saves work, and
-- guards nothing. Times are the database's own.
CREATE TABLE es.worker (
  kind       text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  version    int              NOT NULL,
  slice_from int              NOT NULL,
  who        text             NOT NULL,
  until      timestamptz      NOT NULL,
  PRIMARY KEY (kind, name, version, slice_from, who)
);
