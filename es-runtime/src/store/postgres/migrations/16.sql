-- Takes the log's lock for an append that is written without es.append_1, and says whether the log
-- ends at `head`, where that is asked: who remembers it knows all streams, too. Every statement here
-- sees what was committed before the lock was granted; the one that asks saw what was there before it.
--
-- It opens es.instance only where it asks. es.append_one_1 is for the release before this one.
CREATE FUNCTION es.append_lock_1(head bigint, known bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append in READ COMMITTED: an older snapshot does not see the newest position';
  END IF;
  -- 'ESAY', the log.
  IF pg_advisory_xact_lock(1163084889, 1) IS NULL THEN END IF;
  IF known IS NOT NULL THEN
    IF EXISTS (SELECT FROM es.instance i WHERE i.number > known) THEN
      RAISE EXCEPTION 'another instance has started' USING ERRCODE = 'ESI01';
    END IF;
  END IF;
  IF head IS NOT NULL THEN
    RETURN head = (SELECT max(e.position) FROM es.event e);
  END IF;
  RETURN true;
END $$;

-- Who remembers where the log ends does not look at the floor: it is raised while nobody does.
CREATE FUNCTION es.raise_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(1163084889, 5) THEN
    RAISE EXCEPTION 'the floor of the log is changed while no service appends: stop them first';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER floor_at_rest BEFORE UPDATE OF floor ON es.log
  FOR EACH ROW WHEN (NEW.floor <> OLD.floor) EXECUTE FUNCTION es.raise_floor();
