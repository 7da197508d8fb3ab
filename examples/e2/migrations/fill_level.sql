-- sexton:description courses of today are for beginners
-- sexton:depends add_level
-- sexton:up
update courses set level = 1 where level is null;
-- sexton:assert-after select count(*) = 0 from courses where level is null
-- sexton:down
update courses set level = null;
