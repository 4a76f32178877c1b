-- The schemas that were ever served, since their addresses never change: by what they describe, and
-- a digest of their text.
CREATE TABLE es.contract (
  name     text COLLATE "C" NOT NULL,
  revision text COLLATE "C" NOT NULL,
  -- To whose events it belongs.
  stream   text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  text     text             NOT NULL,
  PRIMARY KEY (name, revision)
);
