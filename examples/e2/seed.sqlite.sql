-- Tokens, sessions and cache entries either side of now, API logs of 14 months.
insert into users (id, email) with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) select i, 'user' || i || '@example.org' from n;
insert into refresh_tokens (user_id, token_hash, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select 1 + i % 500, printf('%064x', i), datetime('now', (i % 20 - 10) || ' days', '+1 hour') from n;
insert into sessions (id, user_id, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select printf('%064x', i), 1 + i % 500, datetime('now', (i % 20 - 10) || ' days', '+1 hour') from n;
insert into cache_entries (cache_key, value, is_valid, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select 'key:' || i, '{}', i % 9 <> 0, datetime('now', (i % 20 - 10) || ' days', '+1 hour') from n;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
select 1 + i % 500, 'GET', '/lessons/' || (i % 90), 200, i % 300, datetime('now', '-' || (i % 425) || ' days', '-1 hour') from n;

-- Courses, two of them retired; lessons, six of them soft-deleted; users of every status; and rows that refer to all of
-- them and to some that are gone.
update users set status = 'archived' where id between 481 and 490;
update users set status = 'inactive' where id between 491 and 500;
update users set status = 'suspended', suspended_at = datetime('now', '-1 month') where id between 471 and 480;
insert into courses (id, title, status)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20)
select i, 'Course ' || i, case when i > 18 then 'retired' else 'active' end from n;
insert into lessons (id, course_id, title, deleted_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 90)
select i, 1 + i % 20, 'Lesson ' || i, case when i % 15 = 0 then datetime('now', '-3 days') end from n;
insert into lesson_prerequisites (lesson_id, prerequisite_id)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) select 1 + i % 95, 1 + (i * 7) % 97 from n;
insert into achievements (user_id, course_id, name, earned_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
select 1 + i % 510, case when i % 50 > 0 then 1 + i % 22 end, 'badge ' || (i % 7), datetime('now', '-' || (i % 300) || ' days') from n;
insert into lesson_progress (user_id, lesson_id, percent, updated_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
select 1 + i % 505, 1 + i % 92, i % 101, datetime('now', '-' || (i % 60) || ' days') from n;
insert into leaderboard_entries (user_id, period, points, updated_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 600)
select 1 + i % 510, 'week ' || (i / 510), i % 1000, datetime('now', '-1 day') from n;
-- Accounts: ten suspended for seven months and ten for five, each with what hangs on it; one not seen for two years.
insert into users (id, email) with recursive n(i) as (select 601 union all select i + 1 from n where i < 620) select i, 'user' || i || '@example.org' from n;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40) select 601 + i % 20, 'GET', '/lessons/1', 200, i, datetime('now', '-1 month') from n;
update users set status = 'suspended', suspended_at = datetime('now', '-7 months', '-1 hour') where id between 601 and 610;
update users set status = 'suspended', suspended_at = datetime('now', '-5 months', '-1 hour') where id between 611 and 620;
update users set last_login_at = datetime('now', '-2 years') where id = 1;
insert into achievements (user_id, name, earned_at) select id, 'first lesson', datetime('now', '-1 year') from users where id > 600;
insert into lesson_progress (user_id, lesson_id, percent, updated_at) select id, 1, 50, datetime('now', '-1 day') from users where id > 600;
insert into leaderboard_entries (user_id, period, points, updated_at) select id, 'total', id, datetime('now', '-1 day') from users where id > 600;
-- Cache entries made of progress: half of them before it last changed.
insert into cache_entries (cache_key, value, source_table, source_id, source_updated_at)
select 'progress:' || id, '{}', 'lesson_progress', id, datetime(updated_at, case id % 2 when 0 then '-1 hour' else '+0 hours' end)
from lesson_progress where user_id > 600;

-- Twelve uploads whose files are in the store `uploads`, beside files that no row knows.
insert into uploads (user_id, path, size_bytes, status)
with recursive n(i) as (select 101 union all select i + 1 from n where i < 112)
select i, 'users/' || i || '/photo.png', 1000 + i, 'attached' from n;
