-- A write key is public: every page that sends events shows it, so it may be read again. A secret key never.
ALTER TABLE access.key ADD COLUMN key text CHECK (key IS NULL OR kind = 'write');
COMMENT ON COLUMN access.key.key IS 'The text of a write key; null for secret keys, and for write keys made before.';
