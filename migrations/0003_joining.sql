-- Registrations that wait for somebody's word, invitations, and who administers a customer.

CREATE TABLE approvals (
    registration_id TEXT   NOT NULL PRIMARY KEY REFERENCES registrations (id) ON DELETE CASCADE,
    asked           TEXT   NOT NULL,           -- administrators | back_office
    letters         BIGINT NOT NULL DEFAULT 0, -- rounds of letters sent: 1 asked, 2 reminded
    remind_at       BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    decision        TEXT,                      -- approved | rejected | expired
    decided_by      TEXT,                      -- link:<user> | operator | time
    decided_at      BIGINT
);

CREATE TABLE approval_links (
    digest          TEXT   NOT NULL PRIMARY KEY, -- of the token in the mailed link
    registration_id TEXT   NOT NULL REFERENCES approvals (registration_id) ON DELETE CASCADE,
    user_id         TEXT   NOT NULL,             -- the administrator who was written to
    created_at      BIGINT NOT NULL
);
CREATE INDEX approval_links_by_registration ON approval_links (registration_id);

CREATE TABLE invitations (
    id              TEXT   NOT NULL PRIMARY KEY,
    digest          TEXT   NOT NULL UNIQUE,    -- of the token in the mailed link
    platform        TEXT   NOT NULL,
    email_digest    TEXT   NOT NULL,           -- of the folded address
    customer_id     TEXT   NOT NULL,
    host            TEXT   NOT NULL,
    sealed          TEXT   NOT NULL,           -- address, language, whether an administrator
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    revoked_at      BIGINT,
    registration_id TEXT                       -- the registration that it was used for
);
CREATE INDEX invitations_by_email ON invitations (platform, email_digest, created_at);

ALTER TABLE builtin_users ADD COLUMN administrator BOOLEAN NOT NULL DEFAULT FALSE;

-- Whoever founded a customer administers it.
UPDATE builtin_users SET administrator = TRUE
WHERE mark IS NOT NULL AND EXISTS (
    SELECT 1 FROM builtin_customers
    WHERE builtin_customers.id = builtin_users.customer_id
      AND builtin_customers.mark = builtin_users.mark);
