-- A consumer may move to another version of a stream: the inbox of the one is closed, and that of the
-- other goes on where it stood.
ALTER TABLE es_inbox ADD COLUMN moved_to INTEGER;
-- What the publisher said of the place to which a part moved, until the part goes on.
ALTER TABLE es_inbox ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
