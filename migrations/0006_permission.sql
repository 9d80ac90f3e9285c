-- The operator's own permissions, beside those that Doorward itself asks for. The role `admin` grants
-- every one of them: its row in role_permission comes and goes with the row here.
CREATE TABLE permission (
    name        TEXT   NOT NULL PRIMARY KEY,     -- resource:action
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);

-- Which roles grant a permission: asked before it is withdrawn.
CREATE INDEX role_permission_by_permission ON role_permission (permission, role);
