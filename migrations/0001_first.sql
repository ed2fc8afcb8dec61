-- The schema of the first release. Ids are UUIDv7 text, times UTC milliseconds, JSON and sealed
-- values text, so that SQLite and PostgreSQL run the same statements.

CREATE TABLE account_links (
    platform      TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    customer_id   TEXT,
    account_type  TEXT,
    linked_by     TEXT    NOT NULL,           -- registration | proof | operator
    created_at    BIGINT  NOT NULL,
    PRIMARY KEY (platform, issuer, subject)
);
CREATE INDEX account_links_by_user ON account_links (platform, user_id);

CREATE TABLE registrations (
    id             TEXT    NOT NULL PRIMARY KEY,
    platform       TEXT    NOT NULL,
    issuer         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    email_digest   TEXT    NOT NULL,           -- of the folded address
    host           TEXT    NOT NULL,
    language       TEXT    NOT NULL,
    state          TEXT    NOT NULL,           -- provisioning | undoing | completed | failed | abandoned
    open_key       TEXT,                       -- 'open' while open, NULL after: carries the unique keys
    sealed         TEXT    NOT NULL,           -- applicant, form and plan; erased once completed
    policy_version TEXT    NOT NULL,
    reason         TEXT,                       -- why it failed, for the operator
    lease_owner    TEXT,
    lease_until    BIGINT  NOT NULL DEFAULT 0,
    attempts       BIGINT  NOT NULL DEFAULT 0,
    next_try_at    BIGINT  NOT NULL DEFAULT 0,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    UNIQUE (platform, issuer, subject, open_key),
    UNIQUE (platform, email_digest, open_key)
);
CREATE INDEX registrations_by_state ON registrations (state, next_try_at);
CREATE INDEX registrations_by_subject ON registrations (platform, issuer, subject, created_at);

CREATE TABLE registration_steps (
    registration_id TEXT   NOT NULL REFERENCES registrations (id) ON DELETE CASCADE,
    position        BIGINT NOT NULL,
    step            TEXT   NOT NULL,           -- create_customer | create_location | create_user | …
    state           TEXT   NOT NULL,           -- planned | begun | done | undone
    outcome         TEXT,                      -- the id that the platform gave
    attempts        BIGINT NOT NULL DEFAULT 0,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (registration_id, position)
);

CREATE TABLE agreements (
    id          TEXT   NOT NULL,
    language    TEXT   NOT NULL,
    version     TEXT   NOT NULL,               -- digest of the text
    text        TEXT   NOT NULL,
    first_seen  BIGINT NOT NULL,
    PRIMARY KEY (id, language, version)
);

CREATE TABLE acceptances (
    id              TEXT   NOT NULL PRIMARY KEY,
    registration_id TEXT   NOT NULL,
    agreement       TEXT   NOT NULL,
    language        TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    issuer          TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    client_address  TEXT   NOT NULL,
    accepted_at     BIGINT NOT NULL,
    UNIQUE (registration_id, agreement)
);

CREATE TABLE verifications (
    id           TEXT   NOT NULL PRIMARY KEY,
    purpose      TEXT   NOT NULL,              -- mailed_code | password_try
    context      TEXT   NOT NULL,              -- digest of what it is bound to
    target       TEXT   NOT NULL,              -- digest of the user whose proof it is
    sealed       TEXT   NOT NULL,              -- digest of the code, sealed
    tries_left   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);
CREATE INDEX verifications_by_context ON verifications (purpose, context, created_at);
CREATE INDEX verifications_by_target ON verifications (purpose, target, created_at);

CREATE TABLE audit_events (
    id              TEXT   NOT NULL PRIMARY KEY,
    at              BIGINT NOT NULL,
    kind            TEXT   NOT NULL,
    issuer          TEXT,
    subject         TEXT,
    account         TEXT,
    registration_id TEXT,
    host            TEXT,
    client_address  TEXT,
    reference       TEXT,
    detail          TEXT   NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (at);

CREATE TABLE sessions (
    id_digest   TEXT   NOT NULL PRIMARY KEY,
    sealed      TEXT   NOT NULL,
    tokens      TEXT,
    issuer      TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    idp_sid     TEXT,
    host        TEXT   NOT NULL,
    account     TEXT,
    device      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    idle_until  BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL
);
CREATE INDEX sessions_by_subject ON sessions (issuer, subject);
CREATE INDEX sessions_by_end ON sessions (idle_until);

CREATE TABLE consumed_attempts (
    id          TEXT   NOT NULL PRIMARY KEY,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX consumed_attempts_by_end ON consumed_attempts (expires_at);

CREATE TABLE builtin_customers (
    id            TEXT    NOT NULL PRIMARY KEY,
    account_type  TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    code          TEXT    UNIQUE,
    fields        TEXT    NOT NULL,            -- JSON object
    mark          TEXT    UNIQUE,              -- the registration that made it
    created_at    BIGINT  NOT NULL
);

CREATE TABLE builtin_partners (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    code        TEXT   NOT NULL UNIQUE,
    created_at  BIGINT NOT NULL
);

CREATE TABLE builtin_locations (
    id           TEXT   NOT NULL PRIMARY KEY,
    customer_id  TEXT   NOT NULL REFERENCES builtin_customers (id),
    name         TEXT   NOT NULL,
    fields       TEXT   NOT NULL,
    mark         TEXT   UNIQUE,
    created_at   BIGINT NOT NULL
);

CREATE TABLE builtin_users (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL,
    email_folded  TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    customer_id   TEXT    REFERENCES builtin_customers (id),
    partner_id    TEXT    REFERENCES builtin_partners (id),
    account_type  TEXT,
    language      TEXT,
    fields        TEXT    NOT NULL,
    password      TEXT,                        -- argon2id, PHC string
    enabled       BOOLEAN NOT NULL,
    mark          TEXT    UNIQUE,
    created_at    BIGINT  NOT NULL
);
