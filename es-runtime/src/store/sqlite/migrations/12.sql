-- Timers of processes that have not fired yet. Times are in microseconds.
CREATE TABLE es_timer (
  process    TEXT    NOT NULL,
  key        TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  -- By the service's clock.
  due        INTEGER NOT NULL,
  -- Names this very setting: fired, it is the id of the command.
  command_id BLOB    NOT NULL,
  payload    TEXT    NOT NULL,
  -- How often it was fired in vain, and why last.
  attempts   INTEGER NOT NULL DEFAULT 0,
  failure    TEXT,
  failed_at  INTEGER,
  PRIMARY KEY (process, key, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX es_timer_due ON es_timer (process, due, key, name);
