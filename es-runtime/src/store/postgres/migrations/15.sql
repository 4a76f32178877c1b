-- Appends one event, whose command is not kept: most commands make one. It answers the position, or
-- nothing where the stream is not at the expected version: then es.append_1 says what became of it.
-- What that one keeps holds here, too: the lock, and each statement sees what was committed before.
--
-- Few relations and scalars are what makes it cheap. Its caller switches sequential scans off for the
-- session: a SET of the function's own would cost a twentieth of the call.
CREATE FUNCTION es.append_one_1(
  a_stream text, a_expected bigint, a_command uuid, e_slice smallint, e_type text, e_schema int,
  e_min_reader int, e_payload json, e_metadata json, a_at timestamptz, known bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  appended bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append in READ COMMITTED: an older snapshot does not see the newest position';
  END IF;
  -- 'ESAY', the log.
  IF pg_advisory_xact_lock(1163084889, 1) IS NULL THEN END IF;
  -- Two questions: the second one opens a table, whether it is asked or not.
  IF known IS NOT NULL THEN
    IF EXISTS (SELECT FROM es.instance i WHERE i.number > known) THEN
      RAISE EXCEPTION 'another instance has started' USING ERRCODE = 'ESI01';
    END IF;
  END IF;
  INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                        command_id, payload, metadata, occurred_at)
  SELECT greatest(coalesce((SELECT max(e.position) FROM es.event e), 0),
                  (SELECT l.floor FROM es.log l WHERE l.id = 1)) + 1,
         a_stream, a_expected + 1, e_slice, e_type, e_schema, e_min_reader, a_command, e_payload,
         e_metadata, a_at
  WHERE coalesce((SELECT e.version FROM es.event e WHERE e.stream = a_stream
                  ORDER BY e.version DESC LIMIT 1), 0) = a_expected
  RETURNING position INTO appended;
  RETURN appended;
END $$;
