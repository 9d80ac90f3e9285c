-- What a search for people looks through: names and addresses folded by the program, the same on both databases, with and
-- without accents. `search_of` is the display name that it was made of: a release that does not know of it changes the name
-- alone, and then it is made anew.
ALTER TABLE account ADD COLUMN search_text TEXT;
ALTER TABLE account ADD COLUMN search_of TEXT;
