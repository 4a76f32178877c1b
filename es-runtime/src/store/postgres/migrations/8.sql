-- Who reads the integration streams, as the readers show it by reading. Times are the database's own.
CREATE TABLE es.consumer (
  stream     text COLLATE "C" NOT NULL,
  version    int              NOT NULL,
  consumer   text COLLATE "C" NOT NULL,
  -- The last position that it has, and the running hash there, if it said so.
  position   bigint           NOT NULL,
  hash       bytea,
  via        text             NOT NULL,
  first_seen timestamptz      NOT NULL,
  last_seen  timestamptz      NOT NULL,
  PRIMARY KEY (stream, version, consumer)
-- Rows change once a second: their next state finds room beside them.
) WITH (fillfactor = 50);
