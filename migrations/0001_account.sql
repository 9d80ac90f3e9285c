-- Accounts and roles, in SQL that SQLite and PostgreSQL both speak. Moments are BIGINT milliseconds
-- since 1970-01-01T00:00:00Z. Only forward: a file that was released is never edited again.

CREATE TABLE account (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL,               -- as it is shown and written to
    email_key     TEXT   NOT NULL UNIQUE,        -- in lower case: what makes an address unique
    display_name  TEXT   NOT NULL,
    search_key    TEXT   NOT NULL,               -- the display name in lower case
    password_hash TEXT,                          -- PHC string; NULL: no password opens the account
    status        TEXT   NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at    BIGINT NOT NULL,
    last_login_at BIGINT,
    version       BIGINT NOT NULL DEFAULT 1,     -- raised by every change
    session_epoch BIGINT NOT NULL DEFAULT 1      -- sessions opened under a lower one are dead
);

-- Lists show the newest first and continue after the last row of the page before.
CREATE INDEX account_by_age ON account (created_at, id);

CREATE TABLE role (
    name        TEXT   NOT NULL PRIMARY KEY,
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1        -- its update is the lock of a transaction
);

CREATE TABLE role_permission (
    role       TEXT NOT NULL REFERENCES role (name) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    PRIMARY KEY (role, permission)
);

-- A role that somebody has cannot be deleted: taking it away must raise that account's version.
CREATE TABLE account_role (
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role       TEXT NOT NULL REFERENCES role (name),
    PRIMARY KEY (account_id, role)
);

CREATE INDEX account_role_by_role ON account_role (role, account_id);

-- One-time tokens for the first administrator, by their SHA-256.
CREATE TABLE setup_token (
    digest     TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

INSERT INTO role (name, description, created_at) VALUES
    ('admin', 'Administers accounts, roles and sessions', 0),
    ('user', 'Uses the application', 0);

INSERT INTO role_permission (role, permission) VALUES
    ('admin', 'admin:view'),
    ('admin', 'users:read'),
    ('admin', 'users:write'),
    ('admin', 'roles:read'),
    ('admin', 'roles:write'),
    ('admin', 'sessions:read'),
    ('admin', 'sessions:revoke');
