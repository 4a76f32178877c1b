-- A consumer may be divided by key: each part has a cursor of its own.
ALTER TABLE es.inbox
  ADD slice_from  int    NOT NULL DEFAULT 0,
  ADD slice_to    int    NOT NULL DEFAULT 1024,
  -- Raised by what its worker must know before it goes on.
  ADD epoch       bigint NOT NULL DEFAULT 0,
  -- How many parts there are to be, once all stand at one position.
  ADD wanted      int,
  -- Who works on it: saves work, and guards nothing.
  ADD owner       text,
  ADD owned_until timestamptz,
  DROP CONSTRAINT inbox_pkey,
  ADD PRIMARY KEY (consumer, stream, version, slice_from);

-- Keys that a consumer has set aside, since an event failed. Times are the database's own.
CREATE TABLE es.inbox_key (
  consumer  text COLLATE "C" NOT NULL,
  stream    text COLLATE "C" NOT NULL,
  version   int              NOT NULL,
  key       text COLLATE "C" NOT NULL,
  -- The event that waits first.
  position  bigint           NOT NULL,
  -- Why that one failed last, and how often it did.
  reason    text             NOT NULL,
  attempts  int              NOT NULL,
  since     timestamptz      NOT NULL,
  failed_at timestamptz      NOT NULL,
  -- When it is tried again.
  due       timestamptz      NOT NULL,
  waiting   bigint           NOT NULL,
  PRIMARY KEY (consumer, stream, version, key)
) WITH (fillfactor = 50);

-- The events that wait, whole: whoever published them may be away.
CREATE TABLE es.inbox_event (
  consumer text COLLATE "C" NOT NULL,
  stream   text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  key      text COLLATE "C" NOT NULL,
  position bigint           NOT NULL,
  event    json             NOT NULL,
  PRIMARY KEY (consumer, stream, version, key, position)
);

-- Events that somebody gave up.
CREATE TABLE es.dead_letter (
  consumer text COLLATE "C" NOT NULL,
  stream   text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  position bigint           NOT NULL,
  key      text COLLATE "C" NOT NULL,
  event    json             NOT NULL,
  -- Why its key was set aside, and why it was given up.
  failure  text             NOT NULL,
  reason   text             NOT NULL,
  by       text             NOT NULL,
  at       timestamptz      NOT NULL,
  PRIMARY KEY (consumer, stream, version, position)
);
