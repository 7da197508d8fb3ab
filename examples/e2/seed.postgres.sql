-- Tokens, sessions and cache entries either side of now, API logs of 14 months.
insert into users (id, email) select i, 'user' || i || '@example.org' from generate_series(1, 500) i;
insert into refresh_tokens (user_id, token_hash, expires_at)
select 1 + i % 500, lpad(to_hex(i), 64, '0'), now() + make_interval(days => i % 20 - 10, hours => 1) from generate_series(1, 2000) i;
insert into sessions (id, user_id, expires_at)
select lpad(to_hex(i), 64, '0'), 1 + i % 500, now() + make_interval(days => i % 20 - 10, hours => 1) from generate_series(1, 2000) i;
insert into cache_entries (cache_key, value, is_valid, expires_at)
select 'key:' || i, '{}', i % 9 <> 0, now() + make_interval(days => i % 20 - 10, hours => 1) from generate_series(1, 2000) i;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
select 1 + i % 500, 'GET', '/lessons/' || (i % 90), 200, i % 300, now() - make_interval(days => i % 425, hours => 1)
from generate_series(1, 20000) i;

-- Courses, two of them retired; lessons, six of them soft-deleted; users of every status; and rows that refer to all of
-- them and to some that are gone.
update users set status = 'archived' where id between 481 and 490;
update users set status = 'inactive' where id between 491 and 500;
update users set status = 'suspended', suspended_at = now() - interval '1 month' where id between 471 and 480;
insert into courses (id, title, status)
select i, 'Course ' || i, case when i > 18 then 'retired' else 'active' end from generate_series(1, 20) i;
insert into lessons (id, course_id, title, deleted_at)
select i, 1 + i % 20, 'Lesson ' || i, case when i % 15 = 0 then now() - interval '3 days' end from generate_series(1, 90) i;
insert into lesson_prerequisites (lesson_id, prerequisite_id) select 1 + i % 95, 1 + (i * 7) % 97 from generate_series(1, 100) i;
insert into achievements (user_id, course_id, name, earned_at)
select 1 + i % 510, case when i % 50 > 0 then 1 + i % 22 end, 'badge ' || (i % 7), now() - make_interval(days => i % 300)
from generate_series(1, 1000) i;
insert into lesson_progress (user_id, lesson_id, percent, updated_at)
select 1 + i % 505, 1 + i % 92, i % 101, now() - make_interval(days => i % 60) from generate_series(1, 3000) i;
insert into leaderboard_entries (user_id, period, points, updated_at)
select 1 + i % 510, 'week ' || (i / 510), i % 1000, now() - interval '1 day' from generate_series(1, 600) i;
-- Accounts: ten suspended for seven months and ten for five, each with what hangs on it; one not seen for two years.
insert into users (id, email) select i, 'user' || i || '@example.org' from generate_series(601, 620) i;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
select 601 + i % 20, 'GET', '/lessons/1', 200, i, now() - interval '1 month' from generate_series(1, 40) i;
update users set status = 'suspended', suspended_at = now() - interval '7 months 1 hour' where id between 601 and 610;
update users set status = 'suspended', suspended_at = now() - interval '5 months 1 hour' where id between 611 and 620;
update users set last_login_at = now() - interval '2 years' where id = 1;
insert into achievements (user_id, name, earned_at) select id, 'first lesson', now() - interval '1 year' from users where id > 600 order by id;
insert into lesson_progress (user_id, lesson_id, percent, updated_at) select id, 1, 50, now() - interval '1 day' from users where id > 600 order by id;
insert into leaderboard_entries (user_id, period, points, updated_at) select id, 'total', id, now() - interval '1 day' from users where id > 600 order by id;
-- Cache entries made of progress: half of them before it last changed.
insert into cache_entries (cache_key, value, source_table, source_id, source_updated_at)
select 'progress:' || id, '{}', 'lesson_progress', id, updated_at - case id % 2 when 0 then interval '1 hour' else interval '0' end
from lesson_progress where user_id > 600;

-- Twelve uploads whose files are in the store `uploads`, beside files that no row knows.
insert into uploads (user_id, path, size_bytes, status)
select i, 'users/' || i || '/photo.png', 1000 + i, 'attached' from generate_series(101, 112) i;
