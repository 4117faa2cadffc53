-- Who is to be forgotten. `subjects` and `mentions` hold ids in clear, and only until all is removed.
CREATE TABLE access.forget_request (
    project text NOT NULL REFERENCES access.project (id) ON DELETE CASCADE,
    id text NOT NULL,
    user_hash text NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    subjects text[],
    mentions text[],
    finished_at timestamptz,
    report jsonb,
    PRIMARY KEY (project, id)
);
CREATE INDEX forget_request_by_time ON access.forget_request (project, requested_at, id);
CREATE INDEX forget_request_open ON access.forget_request (requested_at) WHERE finished_at IS NULL;
COMMENT ON COLUMN access.forget_request.user_hash IS 'SHA-256 of the record key, project:u:user, in hexadecimal digits.';

-- What is passed over for ever: records with a key of this SHA-256 that were received before `since`.
CREATE TABLE access.forgotten (
    project text NOT NULL REFERENCES access.project (id) ON DELETE CASCADE,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    since timestamptz NOT NULL,
    PRIMARY KEY (project, hash)
);

-- What each owner has removed so far, by part; 0 where its rows have none.
CREATE TABLE access.forget_progress (
    project text NOT NULL,
    request text NOT NULL,
    owner text NOT NULL,
    part smallint NOT NULL,
    done boolean NOT NULL,
    removed jsonb NOT NULL,
    PRIMARY KEY (project, request, owner, part),
    FOREIGN KEY (project, request) REFERENCES access.forget_request ON DELETE CASCADE
);

CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.forget_request
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON access.forgotten
    FOR EACH STATEMENT EXECUTE FUNCTION access.raise_version();
