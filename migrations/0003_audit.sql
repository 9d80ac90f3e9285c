-- The audit trail: rows are added and never changed. Each carries a code over itself and the row
-- before; the codes' key is not in the database (docs/audit.md).

CREATE TABLE audit_event (
    seq        BIGINT NOT NULL PRIMARY KEY,      -- its place in the chain: 1, 2, 3 …
    id         TEXT   NOT NULL UNIQUE,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    actor      TEXT,                             -- an account's id, 'operator', 'server'; NULL: nobody we know
    subject    TEXT,                             -- an account's id; it may have been deleted since
    ip         TEXT,
    result     TEXT   NOT NULL,
    request_id TEXT,
    detail     TEXT,
    mac        TEXT   NOT NULL
);

-- Lists show the latest first, and may be narrowed by any of these.
CREATE INDEX audit_event_by_time ON audit_event (at, seq);
CREATE INDEX audit_event_by_actor ON audit_event (actor, at, seq);
CREATE INDEX audit_event_by_subject ON audit_event (subject, at, seq);
CREATE INDEX audit_event_by_kind ON audit_event (kind, at, seq);

-- The end of the chain. Its update is the lock of a transaction that adds rows.
CREATE TABLE audit_head (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    mac  TEXT   NOT NULL,
    seal TEXT   NOT NULL
);

INSERT INTO audit_head (one, seq, mac, seal) VALUES (1, 0, '', '');

INSERT INTO role_permission (role, permission) VALUES ('admin', 'audit:read');

-- Live sessions of administrators learn of it at their next refresh.
UPDATE account SET version = version + 1
WHERE id IN (SELECT account_id FROM account_role WHERE role = 'admin');

-- What an owner has to be told at their next page (SR-81): JSON, oldest first.
ALTER TABLE account ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';

-- The kinds of device that an account was signed in on, so that a new one is noticed.
CREATE TABLE account_device (
    account_id    TEXT   NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    device        TEXT   NOT NULL,               -- browser and system in words: 'Firefox on Linux'
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, device)
);
