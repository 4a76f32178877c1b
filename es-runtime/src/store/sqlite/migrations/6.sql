-- Reactions to events that are still to be run, in the order of each key.
CREATE TABLE es_reaction (
  name     TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  position INTEGER NOT NULL,
  part     INTEGER NOT NULL,
  number   INTEGER NOT NULL,
  -- Who enqueued it.
  version  INTEGER NOT NULL,
  family   TEXT    NOT NULL,
  payload  TEXT    NOT NULL,
  PRIMARY KEY (name, key, position, part, number)
) STRICT, WITHOUT ROWID;

-- The keys that have some. Times are in microseconds.
CREATE TABLE es_reaction_key (
  name        TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  -- How many it has.
  pending     INTEGER NOT NULL,
  -- When the first of them is to be run; nothing for one that is parked.
  due         INTEGER,
  -- How often it failed, and why last.
  attempts    INTEGER NOT NULL DEFAULT 0,
  failure     TEXT,
  failed_at   INTEGER,
  -- Who runs it: saves work, and guards nothing.
  owner       TEXT,
  owned_until INTEGER,
  PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX es_reaction_due ON es_reaction_key (name, due);
