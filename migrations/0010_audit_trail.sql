-- Which audit trail the database holds: named at random when it begins, and sealed under the key that is not in the database
-- (docs/audit.md). An end of the trail without any event is sealed with this name, so that nobody makes an empty trail of
-- one that was not.
CREATE TABLE audit_trail (
    one     BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    id      TEXT   NOT NULL,
    follows TEXT   NOT NULL,                     -- the trail that the operator had it take the place of; '' for none
    seal    TEXT   NOT NULL
);
