-- Roles whose holders' sessions may not have been shown yet what the role grants now. A row comes in the transaction of the
-- change and goes when all holders have been shown it; one that stays was left behind by a server that stopped halfway.
CREATE TABLE unshown_role (
    role   TEXT NOT NULL PRIMARY KEY REFERENCES role (name) ON DELETE CASCADE,
    ticket TEXT NOT NULL                         -- random, another one with each change
);
