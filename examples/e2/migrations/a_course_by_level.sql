-- sexton:description courses are looked up by level
-- sexton:depends fill_level
-- sexton:up
create index courses_level on courses (level);
-- sexton:down
drop index courses_level;
