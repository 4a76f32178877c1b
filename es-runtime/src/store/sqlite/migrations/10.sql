-- The schemas that were ever served, since their addresses never change: by what they describe, and
-- a digest of their text.
CREATE TABLE es_contract (
  name     TEXT    NOT NULL,
  revision TEXT    NOT NULL,
  -- To whose events it belongs.
  stream   TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  text     TEXT    NOT NULL,
  PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;
