-- A consumer may move to another version of a stream: the inbox of the one is closed, and that of the
-- other goes on where it stood.
ALTER TABLE es.inbox
  ADD moved_to int,
  -- What the publisher said of the place to which a part moved, until the part goes on.
  ADD origin   bigint NOT NULL DEFAULT 0;
