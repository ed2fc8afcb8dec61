-- People of whom their identity provider has told by SCIM: who may come in, and who may not.
CREATE TABLE people (
    id               TEXT    NOT NULL PRIMARY KEY,   -- the id in SCIM, made here
    issuer           TEXT    NOT NULL,               -- whose person it is
    user_name        TEXT    NOT NULL,
    user_name_folded TEXT    NOT NULL,
    external_id      TEXT,
    active           BIGINT  NOT NULL,               -- 0: blocked
    deleted          BIGINT  NOT NULL DEFAULT 0,     -- 1: gone for SCIM; blocked until made anew
    version          BIGINT  NOT NULL,               -- counts changes
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL
);
CREATE UNIQUE INDEX people_by_user_name ON people (issuer, user_name_folded) WHERE deleted = 0;
CREATE UNIQUE INDEX people_by_external_id ON people (issuer, external_id) WHERE deleted = 0;
CREATE INDEX people_in_order ON people (issuer, created_at, id);

-- Who has signed in under which names, where people are told by name: whoever is blocked stays so
-- under another one, also where they had it before.
CREATE TABLE people_identities (
    issuer           TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    user_name_folded TEXT    NOT NULL,
    PRIMARY KEY (issuer, subject, user_name_folded)
);
CREATE INDEX people_identities_by_name ON people_identities (issuer, user_name_folded);
