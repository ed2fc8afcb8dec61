-- Letters and webhooks on their way. What they say, and to whom, is sealed; what has arrived is
-- gone from here.
CREATE TABLE outbox (
    id           TEXT    NOT NULL PRIMARY KEY,   -- also the Message-ID of a letter
    kind         TEXT    NOT NULL,               -- letter | webhook
    name         TEXT    NOT NULL,               -- which letter, which event
    state        TEXT    NOT NULL,               -- waiting | failed
    sealed       TEXT    NOT NULL,               -- what is delivered; erased once it is over
    reason       TEXT,                           -- why the last try failed, sealed
    attempts     BIGINT  NOT NULL DEFAULT 0,
    lease_owner  TEXT,
    lease_until  BIGINT  NOT NULL DEFAULT 0,
    next_try_at  BIGINT  NOT NULL,
    give_up_at   BIGINT  NOT NULL,
    valid_until  BIGINT,                         -- after which it is of no use to anybody
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (state, next_try_at);
CREATE INDEX outbox_by_kind ON outbox (kind, state, created_at);
