CREATE SCHEMA IF NOT EXISTS windows;

-- What is counted under one name. Other topics, sizes or graces would make the numbers beside them wrong: they are another job.
CREATE TABLE IF NOT EXISTS windows.jobs (
    job        text        PRIMARY KEY,
    topics     text[]      NOT NULL,
    size_ms    bigint      NOT NULL CONSTRAINT job_size CHECK (size_ms > 0),
    grace_ms   bigint      NOT NULL CONSTRAINT job_grace CHECK (grace_ms >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Windows whose end and grace are not after this time were shown as closed, in full. NULL: none was. Who counts without
-- showing leaves it as it is.
ALTER TABLE windows.jobs ADD COLUMN IF NOT EXISTS shown_ms bigint;

-- How far each partition is in counts; both change in one transaction.
CREATE TABLE IF NOT EXISTS windows.offsets (
    job          text    NOT NULL REFERENCES windows.jobs,
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint  NOT NULL,
    watermark_ms bigint, -- the newest event's time; NULL before the first event
    PRIMARY KEY (job, topic, partition)
);

-- Kafka's id of the topic that these offsets belong to: a topic made anew under the same name has another. NULL: the program
-- that counted did not keep it.
ALTER TABLE windows.offsets ADD COLUMN IF NOT EXISTS topic_id text;

CREATE TABLE IF NOT EXISTS windows.counts (
    job          text        NOT NULL REFERENCES windows.jobs,
    window_start timestamptz NOT NULL,
    event        text        NOT NULL, -- '' for events without a name
    currency     text        NOT NULL, -- '' for events without an amount
    count        bigint      NOT NULL,
    sum          numeric     NOT NULL, -- of the amounts, exactly
    late         bigint      NOT NULL, -- came after the window's end and grace; neither in count nor in sum
    PRIMARY KEY (job, window_start, event, currency)
);
