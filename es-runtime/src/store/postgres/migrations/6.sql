-- Reactions to events that are still to be run, in the order of each key.
CREATE TABLE es.reaction (
  name     text COLLATE "C" NOT NULL,
  key      text COLLATE "C" NOT NULL,
  position bigint           NOT NULL,
  part     int              NOT NULL,
  number   int              NOT NULL,
  -- Who enqueued it.
  version  int              NOT NULL,
  family   text             NOT NULL,
  payload  json             NOT NULL,
  PRIMARY KEY (name, key, position, part, number)
);

-- The keys that have some. Times are the database's own.
CREATE TABLE es.reaction_key (
  name        text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,
  -- How many it has.
  pending     bigint           NOT NULL,
  -- When the first of them is to be run; nothing for one that is parked.
  due         timestamptz,
  -- How often it failed, and why last.
  attempts    int              NOT NULL DEFAULT 0,
  failure     text,
  failed_at   timestamptz,
  -- Who runs it: saves work, and guards nothing.
  owner       text,
  owned_until timestamptz,
  PRIMARY KEY (name, key)
);
CREATE INDEX reaction_due ON es.reaction_key (name, due);
