-- Timers of processes that have not fired yet.
CREATE TABLE es.timer (
  process    text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  -- By the service's clock.
  due        timestamptz      NOT NULL,
  -- Names this very setting: fired, it is the id of the command.
  command_id uuid             NOT NULL,
  payload    json             NOT NULL,
  -- How often it was fired in vain, and why last, by the database's clock.
  attempts   int              NOT NULL DEFAULT 0,
  failure    text,
  failed_at  timestamptz,
  PRIMARY KEY (process, key, name)
);
CREATE INDEX timer_due ON es.timer (process, due, key, name);
