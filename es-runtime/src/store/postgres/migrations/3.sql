-- The instances of services that run on this log, and the events that each can read: what the others
-- may write. A number is never used again.
CREATE TABLE es.instance (
  number  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service text        NOT NULL,
  knows   json        NOT NULL,
  started timestamptz NOT NULL,
  seen    timestamptz NOT NULL,
  -- Alive until then, unless it is heard of again.
  until   timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Refuses a transaction of somebody who does not know of all instances that came. Who registers
-- takes the log's lock, as every append does; called under that lock, this sees all who came before.
CREATE FUNCTION es.expect_no_newer_1(known bigint) RETURNS void LANGUAGE plpgsql STRICT
  SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF EXISTS (SELECT FROM es.instance i WHERE i.number > known) THEN
    RAISE EXCEPTION 'another instance has started' USING ERRCODE = 'ESI01';
  END IF;
END $$;
