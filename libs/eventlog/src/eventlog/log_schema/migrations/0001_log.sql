CREATE TABLE log.topic (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    log_id text NOT NULL CHECK (log_id ~ '^[0-9a-f]{16}$'),
    partitions smallint NOT NULL CHECK (partitions > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row per partition, changed by every append: room in its pages keeps the changes HOT.
CREATE TABLE log.part (
    topic smallint NOT NULL REFERENCES log.topic ON DELETE CASCADE,
    part smallint NOT NULL,
    next bigint NOT NULL DEFAULT 0,
    segment integer NOT NULL DEFAULT -1,
    last_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (topic, part)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- The first offset of each segment a partition still has. A segment is a UTC day since 1970-01-01.
CREATE TABLE log.segment (
    topic smallint NOT NULL,
    part smallint NOT NULL,
    segment integer NOT NULL,
    first bigint NOT NULL,
    PRIMARY KEY (topic, part, segment),
    FOREIGN KEY (topic, part) REFERENCES log.part ON DELETE CASCADE
);

CREATE TABLE log.record (
    topic smallint NOT NULL,
    part smallint NOT NULL,
    segment integer NOT NULL,
    off bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (topic, part, segment, off)
) PARTITION BY RANGE (segment);

CREATE FUNCTION log.day_of(at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM at) / 86400)::integer;

-- Attaching takes a weaker lock than CREATE TABLE ... PARTITION OF, so that appends and reads go on.
CREATE FUNCTION log.make_segments(first_day integer, last_day integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('footfall log.make_segments', 0));
    FOR day IN first_day..last_day LOOP
        name := format('record_%s', day);
        IF to_regclass('log.' || name) IS NULL THEN
            EXECUTE format('CREATE TABLE log.%I (LIKE log.record INCLUDING ALL)', name);
            EXECUTE format(
                'ALTER TABLE log.record ATTACH PARTITION log.%I FOR VALUES FROM (%s) TO (%s)', name, day, day + 1);
        END IF;
    END LOOP;
END $$;

-- Appends in one transaction and one round trip. The groups (topics, parts) are distinct; the messages stand
-- group by group in `keys` and `bodies`, those of a group from `firsts` on, counted from 1. One row per
-- group, in their order: the offset of its first message, and the time of all.
--
-- The rows of log.part are locked in order (two appenders cannot deadlock) and held until commit: offsets
-- become visible in order, and no reader can step over a slower transaction.
CREATE FUNCTION log.append_records(
    topics smallint[], parts smallint[], firsts bigint[], keys bytea[], bodies bytea[]
) RETURNS TABLE (base bigint, recorded_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    bases bigint[];
    before integer[];
    days integer[];
    times timestamptz[];
    now_ timestamptz;
BEGIN
    SELECT array_agg(l.next ORDER BY l.i), array_agg(l.segment ORDER BY l.i), array_agg(l.last_at ORDER BY l.i)
    INTO bases, before, times
    FROM (
        SELECT p.next, p.segment, p.last_at, g.i
        FROM unnest(topics, parts) WITH ORDINALITY AS g (topic, part, i)
        JOIN log.part p ON p.topic = g.topic AND p.part = g.part
        ORDER BY p.topic, p.part
        FOR UPDATE OF p
    ) l;
    IF cardinality(bases) IS DISTINCT FROM cardinality(topics) THEN
        RAISE EXCEPTION 'a topic of this append does not exist' USING ERRCODE = 'FF001';
    END IF;

    now_ := clock_timestamp();
    SELECT array_agg(greatest(t.at, now_) ORDER BY t.i), array_agg(log.day_of(greatest(t.at, now_)) ORDER BY t.i)
    INTO times, days
    FROM unnest(times) WITH ORDINALITY AS t (at, i);

    UPDATE log.part p
    SET next = p.next + g.after - g.first, segment = g.day, last_at = g.at
    FROM unnest(topics, parts, firsts, firsts[2:] || (cardinality(keys) + 1)::bigint, days, times)
        AS g (topic, part, first, after, day, at)
    WHERE p.topic = g.topic AND p.part = g.part;

    IF days <> before THEN
        INSERT INTO log.segment (topic, part, segment, first)
        SELECT g.topic, g.part, g.day, g.base
        FROM unnest(topics, parts, days, before, bases) AS g (topic, part, day, before, base)
        WHERE g.day <> g.before;
    END IF;

    INSERT INTO log.record (topic, part, segment, off, recorded_at, key, value)
    SELECT topics[m.slot], parts[m.slot], days[m.slot], bases[m.slot] + m.n - firsts[m.slot], times[m.slot],
           m.key, m.body
    FROM (
        SELECT u.key, u.body, u.n, width_bucket(u.n, firsts) AS slot
        FROM unnest(keys, bodies) WITH ORDINALITY AS u (key, body, n)
        OFFSET 0
    ) m;

    RETURN QUERY SELECT * FROM unnest(bases, times);
END $$;

-- The position of the first record at or after `since`, else the head. Offsets have no gaps within a
-- segment, so a search by halves needs no index on the time.
CREATE FUNCTION log.position_at(of_topic smallint, of_part smallint, since timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    day integer;
    found_at timestamptz;
BEGIN
    SELECT s.segment, s.first INTO day, low
    FROM log.segment s
    WHERE s.topic = of_topic AND s.part = of_part AND s.segment >= log.day_of(since)
    ORDER BY s.segment LIMIT 1;
    IF day IS NULL THEN
        RETURN (SELECT p.next FROM log.part p WHERE p.topic = of_topic AND p.part = of_part);
    END IF;
    high := coalesce(
        (SELECT min(s.first) FROM log.segment s
         WHERE s.topic = of_topic AND s.part = of_part AND s.segment > day),
        (SELECT p.next FROM log.part p WHERE p.topic = of_topic AND p.part = of_part));
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT r.recorded_at INTO STRICT found_at
        FROM log.record r
        WHERE r.topic = of_topic AND r.part = of_part AND r.segment = day AND r.off = middle;
        IF found_at < since THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$;

CREATE FUNCTION log.starts(of_topic smallint) RETURNS TABLE (part smallint, start bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.part, coalesce(min(s.first), p.next)
    FROM log.part p
    LEFT JOIN log.segment s ON s.topic = p.topic AND s.part = p.part
    WHERE p.topic = of_topic
    GROUP BY p.topic, p.part
    ORDER BY p.part;
END;
