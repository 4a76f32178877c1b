-- Keys that are set aside, since an event failed.
CREATE TABLE es.parked (
  kind      text COLLATE "C" NOT NULL,
  name      text COLLATE "C" NOT NULL,
  version   int              NOT NULL,
  key       text COLLATE "C" NOT NULL,
  -- The event that waits first.
  position  bigint           NOT NULL,
  reason    text             NOT NULL,
  attempts  int              NOT NULL,
  since     timestamptz      NOT NULL DEFAULT now(),
  waiting   bigint           NOT NULL,
  requested boolean          NOT NULL DEFAULT false,
  PRIMARY KEY (kind, name, version, key)
);

-- The events that wait.
CREATE TABLE es.parked_event (
  kind     text COLLATE "C" NOT NULL,
  name     text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  key      text COLLATE "C" NOT NULL,
  position bigint           NOT NULL,
  PRIMARY KEY (kind, name, version, key, position)
);
