-- The permissions to see and replace the signing keys, and to see the settings in force.
INSERT INTO role_permission (role, permission) VALUES
    ('admin', 'keys:read'),
    ('admin', 'keys:write'),
    ('admin', 'settings:read');

-- Live sessions of administrators learn of it at their next refresh.
UPDATE account SET version = version + 1
WHERE id IN (SELECT account_id FROM account_role WHERE role = 'admin');

-- Lists of those who are disabled, of whom there are few.
CREATE INDEX account_by_status ON account (status, created_at, id);
