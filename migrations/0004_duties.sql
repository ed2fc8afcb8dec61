-- What somebody who is signed in has to do first: accept an agreement again, confirm their data.

-- The registration in which it was accepted; later a digest of who accepted which version.
ALTER TABLE acceptances RENAME COLUMN registration_id TO occasion;
ALTER TABLE acceptances ADD COLUMN named_version TEXT NOT NULL DEFAULT '';  -- the operator's name
ALTER TABLE acceptances ADD COLUMN host TEXT NOT NULL DEFAULT '';
CREATE INDEX acceptances_by_subject ON acceptances (issuer, subject);

CREATE TABLE customer_verifications (
    platform       TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    issuer         TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    fields         TEXT   NOT NULL,            -- the names of what was confirmed, JSON
    client_address TEXT   NOT NULL,
    verified_at    BIGINT NOT NULL,
    PRIMARY KEY (platform, user_id)
);

-- What the sign-up form says besides: roles, dashboards, groups. JSON.
ALTER TABLE builtin_customers ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
ALTER TABLE builtin_users ADD COLUMN options TEXT NOT NULL DEFAULT '{}';

-- Who was made by which registration, so that what was accepted in it counts for that user.
CREATE INDEX registration_steps_by_outcome ON registration_steps (outcome);
