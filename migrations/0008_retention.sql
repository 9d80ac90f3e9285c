-- Where the audit trail begins, if `audit.retention` has removed older rows: the place and the code of the last of them.
-- The codes' key is not in the database (docs/audit.md).
CREATE TABLE audit_start (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    mac  TEXT   NOT NULL,
    seal TEXT   NOT NULL
);

INSERT INTO audit_start (one, seq, mac, seal) VALUES (1, 0, '', '');

-- The last migration that a program must know to work with this database. One that takes away what older releases need
-- raises it, and they say so instead of going wrong.
CREATE TABLE schema_floor (
    one       BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    migration BIGINT NOT NULL
);

INSERT INTO schema_floor (one, migration) VALUES (1, 0);
