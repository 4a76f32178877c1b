-- How far each stream version went out over each transport: behind what its broker confirmed.
CREATE TABLE es.relay (
  transport   text COLLATE "C" NOT NULL,
  stream      text COLLATE "C" NOT NULL,
  version     int              NOT NULL,
  position    bigint           NOT NULL DEFAULT 0,
  -- Higher each time that somebody else becomes the relay.
  epoch       bigint           NOT NULL,
  -- Who is the relay: saves work, and guards nothing.
  owner       text,
  owned_until timestamptz,
  failure     text,
  failed_at   timestamptz,
  PRIMARY KEY (transport, stream, version)
);
