-- sexton:description courses get a level
-- sexton:up
alter table courses add column level integer;
-- sexton:down
alter table courses drop column level;
