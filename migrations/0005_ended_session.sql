-- Sessions that were ended on purpose, for as long as one of their refresh tokens could be presented:
-- a session store that was restored from an old copy revives none of them.
CREATE TABLE ended_session (
    session_id TEXT   NOT NULL PRIMARY KEY,
    until      BIGINT NOT NULL
);

CREATE INDEX ended_session_by_end ON ended_session (until);
