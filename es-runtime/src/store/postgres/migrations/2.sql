-- Aggregates' states, to read fewer events: never the truth, so nothing is lost with a row. Each
-- fingerprint has its own, so that two releases do not take them from each other.
CREATE TABLE es.snapshot (
  stream      text COLLATE "C" NOT NULL,
  fingerprint bytea            NOT NULL,
  version     bigint           NOT NULL CHECK (version > 0),
  state       json             NOT NULL,
  seal        bytea            NOT NULL,
  at          timestamptz      NOT NULL,
  PRIMARY KEY (stream, fingerprint)
) WITH (fillfactor = 50);
