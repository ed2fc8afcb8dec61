-- Applicants who came to the form and have not sent it: what is left here for long is abandoned.
CREATE TABLE registration_starts (
    applicant   TEXT   NOT NULL PRIMARY KEY,   -- digest of platform, issuer and subject
    host        TEXT   NOT NULL,
    started_at  BIGINT NOT NULL
);
CREATE INDEX registration_starts_by_time ON registration_starts (started_at);
