-- The keys that sign tokens, for all replicas. Their private halves are sealed under a key that
-- follows from the master secret (`keys.secret`), which no database holds.

CREATE TABLE signing_key (
    number       BIGINT NOT NULL PRIMARY KEY,    -- 1, 2, …: a later key takes over from an earlier one
    kid          TEXT   NOT NULL UNIQUE,         -- RFC 7638 thumbprint
    algorithm    TEXT   NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
    sealed       TEXT,                           -- NULL: erased, because no token of it is left
    created_at   BIGINT NOT NULL,
    signs_from   BIGINT NOT NULL,
    withdrawn_at BIGINT                          -- others may know it: good for no access token since
);
