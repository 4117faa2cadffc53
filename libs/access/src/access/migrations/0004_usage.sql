-- What became of what was sent, by the hour of its receipt; of '' no key or no SDK is known.
-- Each process of ingest writes its own rows, so that none waits for another.
CREATE TABLE access.usage (
    project text NOT NULL REFERENCES access.project (id) ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    key text COLLATE "C" NOT NULL,
    sdk text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    accepted bigint NOT NULL,
    quarantined bigint NOT NULL,
    rejected bigint NOT NULL,
    limited bigint NOT NULL,
    unavailable bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    error_at timestamptz,
    error text,
    PRIMARY KEY (project, hour, key, sdk, instance)
) WITH (fillfactor = 50);
COMMENT ON COLUMN access.usage.error IS 'JSON of the last refusal: code, message and hint.';
CREATE INDEX usage_hour ON access.usage (hour);
