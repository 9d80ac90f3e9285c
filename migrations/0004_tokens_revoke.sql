-- The permission to put single access tokens on the denylist.
INSERT INTO role_permission (role, permission) VALUES ('admin', 'tokens:revoke');
