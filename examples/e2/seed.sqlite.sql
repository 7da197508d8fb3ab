-- Tokens, sessions and cache entries either side of now, API logs of 14 months.
insert into users (id, email) with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) select i, 'user' || i || '@example.org' from n;
insert into refresh_tokens (user_id, token_hash, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select 1 + i % 500, printf('%064x', i), datetime('now', (i % 20 - 10) || ' days', '+1 minute') from n;
insert into sessions (id, user_id, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select printf('%064x', i), 1 + i % 500, datetime('now', (i % 20 - 10) || ' days', '+1 minute') from n;
insert into cache_entries (cache_key, value, is_valid, expires_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select 'key:' || i, '{}', i % 9 <> 0, datetime('now', (i % 20 - 10) || ' days', '+1 minute') from n;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
select 1 + i % 500, 'GET', '/lessons/' || (i % 90), 200, i % 300, datetime('now', '-' || (i % 425) || ' days', '-1 hour') from n;

-- Accounts: ten suspended for seven months and ten for five, each with what hangs on it; one not seen for two years.
update users set status = 'suspended', suspended_at = datetime('now', '-7 months', '-1 hour') where id between 481 and 490;
update users set status = 'suspended', suspended_at = datetime('now', '-5 months', '-1 hour') where id between 491 and 500;
update users set last_login_at = datetime('now', '-2 years') where id = 1;
insert into achievements (user_id, name, earned_at) select id, 'first lesson', datetime('now', '-1 year') from users where id > 480;
insert into lesson_progress (user_id, lesson_id, percent, updated_at) select id, 1, 50, datetime('now', '-1 day') from users where id > 480;
insert into leaderboard_entries (user_id, period, points, updated_at) select id, 'total', id, datetime('now', '-1 day') from users where id > 480;
-- Cache entries made of progress: half of them before it last changed.
insert into cache_entries (cache_key, value, source_table, source_id, source_updated_at)
select 'progress:' || id, '{}', 'lesson_progress', id, datetime(updated_at, case id % 2 when 0 then '-1 hour' else '+0 hours' end)
from lesson_progress;
