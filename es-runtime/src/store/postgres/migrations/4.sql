-- The lives of projection versions. Times are the database's own.
ALTER TABLE es.projection
  ADD since   timestamptz NOT NULL DEFAULT now(),
  -- What people and comparisons said of it.
  ADD record  json        NOT NULL DEFAULT '{}',
  -- Who ran its code last, and who read it.
  ADD run_by  text,
  ADD run_at  timestamptz,
  ADD read_by text,
  ADD read_at timestamptz;
ALTER TABLE es.projection SET (fillfactor = 50);

ALTER TABLE es.cursor
  -- Raised whenever something changes that its workers must know before they go on.
  ADD epoch       bigint NOT NULL DEFAULT 0,
  -- Who works on it: saves work, and guards nothing.
  ADD owner       text,
  ADD owned_until timestamptz,
  -- Why it stands still.
  ADD failure     text,
  ADD failed_at   timestamptz;

-- Which version reacts to the events behind a position.
CREATE TABLE es.handover (
  kind    text COLLATE "C" NOT NULL,
  name    text COLLATE "C" NOT NULL,
  after   bigint           NOT NULL,
  version int              NOT NULL,
  PRIMARY KEY (kind, name, after)
);

-- What happened in the lives of versions, for people to read.
CREATE TABLE es.life (
  number   bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind     text COLLATE "C" NOT NULL,
  name     text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  what     text             NOT NULL,
  phase    text COLLATE "C" NOT NULL,
  position bigint           NOT NULL,
  reason   text,
  by       text             NOT NULL,
  at       timestamptz      NOT NULL
);

-- Versions from before react to nothing yet: to begin with, those that are read.
INSERT INTO es.handover (kind, name, after, version)
SELECT kind, name, (SELECT coalesce(max(position), 0) FROM es.event),
       coalesce(max(version) FILTER (WHERE phase = 'live'), max(version))
FROM es.projection GROUP BY kind, name;
