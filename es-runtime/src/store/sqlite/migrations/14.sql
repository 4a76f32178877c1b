-- Places that an inbox has passed: number 0 is where it began, and the others are each in another
-- thousand. Of those, the fewer are kept, the longer ago they were passed.
CREATE TABLE es_inbox_mark (
  consumer TEXT    NOT NULL,
  stream   TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  number   INTEGER NOT NULL,
  position INTEGER NOT NULL,
  hash     BLOB    NOT NULL,
  PRIMARY KEY (consumer, stream, version, number)
) STRICT, WITHOUT ROWID;
-- Of what came before, nothing is known but where it led to.
INSERT OR IGNORE INTO es_inbox_mark (consumer, stream, version, number, position, hash)
SELECT consumer, stream, version, 0, position, hash FROM es_inbox
ORDER BY consumer, stream, version, position;

-- Entities whose events are handled ahead of the others. Times are in microseconds.
CREATE TABLE es_inbox_entity (
  consumer    TEXT    NOT NULL,
  stream      TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  subject     TEXT    NOT NULL,
  -- Up to where its events were handled.
  position    INTEGER NOT NULL,
  -- The chain of those that were handled ahead, and of those that the cursor has come to since.
  handled     BLOB    NOT NULL,
  passed      BLOB    NOT NULL,
  -- How often it was asked for, how many of these questions were answered, and the last one when;
  -- and why it was refused.
  asked       INTEGER NOT NULL,
  answered    INTEGER NOT NULL,
  answered_at INTEGER NOT NULL,
  failure     TEXT,
  -- Somebody has mended its effects: nothing is compared.
  mended      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (consumer, stream, version, subject)
) STRICT, WITHOUT ROWID;

-- Ranges whose events are to be handled again, in each part.
CREATE TABLE es_inbox_repair (
  consumer   TEXT    NOT NULL,
  stream     TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  number     INTEGER NOT NULL,
  slice_from INTEGER NOT NULL,
  slice_to   INTEGER NOT NULL,
  -- From where the stream is proven.
  position   INTEGER NOT NULL,
  hash       BLOB    NOT NULL,
  -- The range: behind the one, and up to the other.
  after      INTEGER NOT NULL,
  until      INTEGER NOT NULL,
  done       INTEGER NOT NULL DEFAULT 0,
  failure    TEXT,
  PRIMARY KEY (consumer, stream, version, number, slice_from)
) STRICT, WITHOUT ROWID;
