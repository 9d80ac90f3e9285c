-- Whether another person chose the password of the account, so that it opens nothing but its own change. A release that does
-- not know of it makes accounts as before.
ALTER TABLE account ADD COLUMN must_change_password BIGINT NOT NULL DEFAULT 0;
