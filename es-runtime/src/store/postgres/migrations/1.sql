-- One log: its identity, and the position under which none is used again.
CREATE TABLE es.log (
  id       int    PRIMARY KEY CHECK (id = 1),
  identity uuid   NOT NULL DEFAULT gen_random_uuid(),
  floor    bigint NOT NULL DEFAULT 0,
  -- Commands that were accepted before this moment may be forgotten; never, if it is null.
  forgotten_before timestamptz
);
INSERT INTO es.log (id) VALUES (1);

-- Internal events: the truth. `position` is dense in commit order.
CREATE TABLE es.event (
  position       bigint           PRIMARY KEY,
  stream         text COLLATE "C" NOT NULL,
  version        bigint           NOT NULL,
  slice          smallint         NOT NULL,
  type           text COLLATE "C" NOT NULL,
  schema_version int              NOT NULL,
  min_reader     int              NOT NULL,
  command_id     uuid,
  payload        json             NOT NULL,
  metadata       json,
  occurred_at    timestamptz      NOT NULL,
  UNIQUE (stream, version)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

CREATE FUNCTION es.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are never changed or deleted';
END $$;

CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON es.event
  FOR EACH STATEMENT EXECUTE FUNCTION es.refuse();

-- Accepted commands that may come again, also those that emitted nothing: what makes a retry
-- harmless.
CREATE TABLE es.command (
  stream         text COLLATE "C" NOT NULL,
  command_id     uuid             NOT NULL,
  first_position bigint           NOT NULL,
  count          int              NOT NULL,
  version        bigint           NOT NULL,
  at             timestamptz      NOT NULL,
  correlation    text COLLATE "C",
  PRIMARY KEY (stream, command_id)
);

CREATE INDEX command_correlation ON es.command (correlation) WHERE correlation IS NOT NULL;

-- Commands with events are found by them.
CREATE INDEX command_empty ON es.command (first_position, command_id, stream) WHERE count = 0;

CREATE FUNCTION es.keep_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at < (SELECT l.forgotten_before FROM es.log l) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'accepted commands are never changed, and deleted only to be forgotten';
END $$;

CREATE TRIGGER command_kept BEFORE UPDATE OR TRUNCATE ON es.command
  FOR EACH STATEMENT EXECUTE FUNCTION es.keep_command();
CREATE TRIGGER command_forgotten BEFORE DELETE ON es.command
  FOR EACH ROW EXECUTE FUNCTION es.keep_command();

-- Decides a batch of appends and writes it: each by its own merits, in one transaction.
--
-- a_*: one entry per append, of distinct streams; a_offset counts the events before its first.
-- a_kept: whose commands get a row; NULL if none does. The others are recognised, when they are
-- sent again as they were, by their own first event.
-- e_*: one entry per event: e_append is the ordinal of its append, the others are its row. Where
-- each append has one event, e_append, e_stream, e_version, e_command and e_at are NULL: they say
-- nothing that a_* does not.
--
-- The lock is taken here and held until the commit, so positions are in commit order. Every
-- statement below sees what was committed before the lock was granted.
--
-- outcome: 0 appended, 1 accepted before, 2 conflict; NULL when all were appended, and then the
-- others follow from `head` (the position before the first new one), a_offset and a_expected.
--
-- Plans are made once and kept; made while the tables are small, they must still be right when
-- these have grown: so no sequential scans, whatever the statistics say. One plain statement after
-- the other, and unnest in the SELECT list, where nothing is materialised: both are far cheaper
-- than what would be shorter.
CREATE FUNCTION es.append_1(
  a_stream text[], a_expected bigint[], a_command uuid[], a_kept boolean[], a_count int[],
  a_offset bigint[], a_at timestamptz[], a_correlation text[],
  e_append int[], e_stream text[], e_version bigint[], e_slice smallint[], e_type text[],
  e_schema int[], e_min_reader int[], e_command uuid[], e_payload json[], e_metadata json[],
  e_at timestamptz[],
  OUT head bigint, OUT outcome smallint[], OUT first bigint[], OUT count int[], OUT version bigint[]
) LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  locked text;
  actual bigint[];
  known  boolean := false;
  done   record;
  next   bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append in READ COMMITTED: an older snapshot does not see the newest position';
  END IF;
  -- 'ESAY', the log.
  locked := pg_advisory_xact_lock(1163084889, 1)::text;
  head := greatest(coalesce((SELECT max(e.position) FROM es.event e), 0),
                   (SELECT l.floor FROM es.log l WHERE l.id = 1));
  actual := ARRAY(
    SELECT coalesce((SELECT e.version FROM es.event e WHERE e.stream = a.s
                     ORDER BY e.version DESC LIMIT 1), 0)
    FROM (SELECT unnest(a_stream) AS s) a);
  IF a_kept IS NOT NULL THEN
    known := EXISTS (
      SELECT FROM (SELECT unnest(a_stream) AS s, unnest(a_command) AS c, unnest(a_kept) AS k) a
      WHERE a.k AND EXISTS (SELECT FROM es.command k WHERE k.stream = a.s AND k.command_id = a.c));
  END IF;

  IF actual = a_expected AND NOT known THEN
    IF e_append IS NULL THEN
      INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                            command_id, payload, metadata, occurred_at)
      SELECT head + generate_series(1, cardinality(a_stream)), unnest(a_stream),
             unnest(a_expected) + 1, unnest(e_slice), unnest(e_type), unnest(e_schema),
             unnest(e_min_reader), unnest(a_command), unnest(e_payload), unnest(e_metadata),
             unnest(a_at);
    ELSE
      INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                            command_id, payload, metadata, occurred_at)
      SELECT head + generate_series(1, cardinality(e_stream)), unnest(e_stream), unnest(e_version),
             unnest(e_slice), unnest(e_type), unnest(e_schema), unnest(e_min_reader),
             unnest(e_command), unnest(e_payload), unnest(e_metadata), unnest(e_at);
    END IF;
    IF a_kept IS NOT NULL THEN
      INSERT INTO es.command (stream, command_id, first_position, count, version, at, correlation)
      SELECT a.stream, a.command, head + 1 + a.before, a.count, a.expected + a.count, a.at,
             a.correlation
      FROM (SELECT unnest(a_stream) AS stream, unnest(a_command) AS command,
                   unnest(a_offset) AS before, unnest(a_count) AS count,
                   unnest(a_expected) AS expected, unnest(a_at) AS at,
                   unnest(a_correlation) AS correlation, unnest(a_kept) AS kept) a
      WHERE a.kept;
    END IF;
    RETURN;
  END IF;

  IF e_append IS NULL THEN
    e_append := ARRAY(SELECT generate_series(1, cardinality(a_stream)));
    e_version := ARRAY(SELECT unnest(a_expected) + 1);
    e_stream := a_stream; e_command := a_command; e_at := a_at;
  END IF;
  next := head + 1;
  FOR i IN 1 .. cardinality(a_stream) LOOP
    IF a_kept[i] THEN
      SELECT k.first_position, k.count, k.version INTO done FROM es.command k
      WHERE k.stream = a_stream[i] AND k.command_id = a_command[i];
    ELSE
      SELECT e.position AS first_position, a_count[i] AS count,
             a_expected[i] + a_count[i] AS version INTO done
      FROM es.event e
      WHERE e.stream = a_stream[i] AND e.version = a_expected[i] + 1
        AND e.command_id = a_command[i];
    END IF;
    IF FOUND THEN
      outcome[i] := 1; first[i] := done.first_position;
      count[i] := done.count; version[i] := done.version;
    ELSIF actual[i] <> a_expected[i] THEN
      outcome[i] := 2; first[i] := 0; count[i] := 0; version[i] := actual[i];
    ELSE
      outcome[i] := 0; first[i] := next;
      count[i] := a_count[i]; version[i] := a_expected[i] + a_count[i];
      next := next + a_count[i];
    END IF;
  END LOOP;
  INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                        command_id, payload, metadata, occurred_at)
  SELECT first[e_append[i]] - 1 + e_version[i] - a_expected[e_append[i]], e_stream[i], e_version[i],
         e_slice[i], e_type[i], e_schema[i], e_min_reader[i], e_command[i], e_payload[i],
         e_metadata[i], e_at[i]
  FROM generate_subscripts(e_stream, 1) i WHERE outcome[e_append[i]] = 0;
  INSERT INTO es.command (stream, command_id, first_position, count, version, at, correlation)
  SELECT a_stream[i], a_command[i], first[i], a_count[i], version[i], a_at[i], a_correlation[i]
  FROM generate_subscripts(a_stream, 1) i WHERE outcome[i] = 0 AND a_kept[i];
END $$;

-- Projection versions: of read models and of integration streams.
CREATE TABLE es.projection (
  kind        text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  version     int              NOT NULL,
  phase       text COLLATE "C" NOT NULL,
  fingerprint text             NOT NULL,
  PRIMARY KEY (kind, name, version)
);

CREATE TABLE es.cursor (
  kind       text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  version    int              NOT NULL,
  slice_from int              NOT NULL,
  slice_to   int              NOT NULL,
  position   bigint           NOT NULL,
  PRIMARY KEY (kind, name, version, slice_from)
) WITH (fillfactor = 20);

-- Integration events: dense positions from 1 in each version of each stream.
CREATE TABLE es.published (
  stream      text COLLATE "C" NOT NULL,
  version     int              NOT NULL,
  position    bigint           NOT NULL,
  source      bigint           NOT NULL,
  type        text COLLATE "C" NOT NULL,
  subject     text COLLATE "C" NOT NULL,
  payload     json             NOT NULL,
  metadata    json,
  occurred_at timestamptz      NOT NULL,
  recorded_at timestamptz      NOT NULL,
  salt        bytea            NOT NULL,
  hash        bytea            NOT NULL,
  PRIMARY KEY (stream, version, position)
);

-- How far each consumer in this database has come in the streams that it reads.
CREATE TABLE es.inbox (
  consumer text COLLATE "C" NOT NULL,
  stream   text COLLATE "C" NOT NULL,
  version  int              NOT NULL,
  position bigint           NOT NULL,
  hash     bytea            NOT NULL,
  PRIMARY KEY (consumer, stream, version)
) WITH (fillfactor = 20);
