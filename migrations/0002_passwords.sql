-- A chosen password waits here, sealed, until the platform has it; it is erased in the same
-- statement that records the user as made, and whenever the registration ends.

ALTER TABLE registrations ADD COLUMN sealed_password TEXT;
