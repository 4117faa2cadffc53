-- Two version 4 UUIDs of the database's strong randomness: 244 bits.
ALTER TABLE access.project ADD COLUMN hash_key bytea NOT NULL
    DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
COMMENT ON COLUMN access.project.hash_key IS 'The secret of the project''s pseudonyms. Whoever has it can tell whose they are.';

CREATE TABLE access.plan (
    project text NOT NULL REFERENCES access.project (id) ON DELETE CASCADE,
    version integer NOT NULL,
    document text NOT NULL,
    applied_at timestamptz NOT NULL,
    PRIMARY KEY (project, version)
);
COMMENT ON TABLE access.plan IS 'Tracking plans, the newest of each project in force; text, because jsonb forgets the order of names.';

CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.plan
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
