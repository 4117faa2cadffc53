CREATE TABLE access.version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    n bigint NOT NULL
);
COMMENT ON TABLE access.version IS
    'One row. n rises in the transaction of every change below it that a running process must learn of.';
INSERT INTO access.version (n) VALUES (1);

CREATE TABLE access.project (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    purged_by text[] NOT NULL DEFAULT '{}',
    settings jsonb NOT NULL DEFAULT '{}',
    settings_version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX project_name ON access.project (name) WHERE deleted_at IS NULL;

CREATE TABLE access.key (
    hash bytea PRIMARY KEY,
    id text NOT NULL UNIQUE,
    project text NOT NULL REFERENCES access.project (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('write', 'secret')),
    label text NOT NULL,
    last_four text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX key_project ON access.key (project);

CREATE TABLE access.login_link (
    hash bytea PRIMARY KEY,
    project text REFERENCES access.project (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON COLUMN access.login_link.project IS 'null: every project, also those made later';

CREATE TABLE access.session (
    hash bytea PRIMARY KEY,
    id text NOT NULL UNIQUE,
    projects text[],
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
COMMENT ON COLUMN access.session.projects IS 'null: every project, also those made later';

CREATE TABLE access.signing_key (
    id text PRIMARY KEY,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

-- A trigger, so that a change by hand reaches the running processes too.
CREATE FUNCTION access.raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access.version SET n = n + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.project
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.key
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.session
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.signing_key
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
