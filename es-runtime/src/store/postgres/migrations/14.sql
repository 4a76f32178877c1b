-- Places that an inbox has passed: number 0 is where it began, and the others are each in another
-- thousand. Of those, the fewer are kept, the longer ago they were passed.
CREATE TABLE es.inbox_mark (
  consumer text COLLATE "C" NOT NULL,
  stream   text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  number   bigint           NOT NULL,
  position bigint           NOT NULL,
  hash     bytea            NOT NULL,
  PRIMARY KEY (consumer, stream, version, number)
);
-- Of what came before, nothing is known but where it led to.
INSERT INTO es.inbox_mark (consumer, stream, version, number, position, hash)
SELECT DISTINCT ON (consumer, stream, version) consumer, stream, version, 0, position, hash
FROM es.inbox ORDER BY consumer, stream, version, position;

-- Entities whose events are handled ahead of the others. Times are the database's own.
CREATE TABLE es.inbox_entity (
  consumer    text COLLATE "C" NOT NULL,
  stream      text COLLATE "C" NOT NULL,
  version     int              NOT NULL,
  subject     text COLLATE "C" NOT NULL,
  -- Up to where its events were handled.
  position    bigint           NOT NULL,
  -- The chain of those that were handled ahead, and of those that the cursor has come to since.
  handled     bytea            NOT NULL,
  passed      bytea            NOT NULL,
  -- How often it was asked for, how many of these questions were answered, and the last one when;
  -- and why it was refused.
  asked       bigint           NOT NULL,
  answered    bigint           NOT NULL,
  answered_at timestamptz      NOT NULL,
  failure     text,
  -- Somebody has mended its effects: nothing is compared.
  mended      boolean          NOT NULL DEFAULT false,
  PRIMARY KEY (consumer, stream, version, subject)
) WITH (fillfactor = 50);

-- Ranges whose events are to be handled again, in each part.
CREATE TABLE es.inbox_repair (
  consumer   text COLLATE "C" NOT NULL,
  stream     text COLLATE "C" NOT NULL,
  version    int              NOT NULL,
  number     bigint           NOT NULL,
  slice_from int              NOT NULL,
  slice_to   int              NOT NULL,
  -- From where the stream is proven.
  position   bigint           NOT NULL,
  hash       bytea            NOT NULL,
  -- The range: behind the one, and up to the other.
  after      bigint           NOT NULL,
  until      bigint           NOT NULL,
  done       boolean          NOT NULL DEFAULT false,
  failure    text,
  PRIMARY KEY (consumer, stream, version, number, slice_from)
);
