-- An event comes after all others, and is its stream's next one. `FAIL` leaves what the statement did
-- before to its transaction, so nothing has to be kept for taking it back.
DROP TRIGGER es_event_no_replace;
CREATE TRIGGER es_event_follows BEFORE INSERT ON es_event
WHEN NEW.position <= (SELECT coalesce(max(position), 0) FROM es_event)
  OR NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM es_event WHERE stream = NEW.stream)
BEGIN SELECT RAISE(FAIL, 'events are never replaced, and each is the next one of its stream'); END;
