-- What identity providers' claims changed of users, so that nothing is written twice. Sealed: the
-- values themselves are there only until the platform has them.
CREATE TABLE attribute_writes (
    platform      TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    signed_in_at  BIGINT NOT NULL,             -- the newest sign-in
    revision      BIGINT NOT NULL DEFAULT 0,   -- counts the changes of the two below
    written       TEXT,                        -- digests of what was last written
    due           TEXT,                        -- what is to be written; erased once it is
    lease_owner   TEXT,
    lease_until   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (platform, user_id)
);
