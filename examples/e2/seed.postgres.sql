-- Tokens, sessions and cache entries either side of now, API logs of 14 months.
insert into users (id, email) select i, 'user' || i || '@example.org' from generate_series(1, 500) i;
insert into refresh_tokens (user_id, token_hash, expires_at)
select 1 + i % 500, lpad(to_hex(i), 64, '0'), now() + make_interval(days => i % 20 - 10, mins => 1) from generate_series(1, 2000) i;
insert into sessions (id, user_id, expires_at)
select lpad(to_hex(i), 64, '0'), 1 + i % 500, now() + make_interval(days => i % 20 - 10, mins => 1) from generate_series(1, 2000) i;
insert into cache_entries (cache_key, value, is_valid, expires_at)
select 'key:' || i, '{}', i % 9 <> 0, now() + make_interval(days => i % 20 - 10, mins => 1) from generate_series(1, 2000) i;
insert into api_logs (user_id, method, path, status_code, duration_ms, created_at)
select 1 + i % 500, 'GET', '/lessons/' || (i % 90), 200, i % 300, now() - make_interval(days => i % 425, hours => 1)
from generate_series(1, 20000) i;

-- Accounts: ten suspended for seven months and ten for five, each with what hangs on it; one not seen for two years.
update users set status = 'suspended', suspended_at = now() - interval '7 months 1 hour' where id between 481 and 490;
update users set status = 'suspended', suspended_at = now() - interval '5 months 1 hour' where id between 491 and 500;
update users set last_login_at = now() - interval '2 years' where id = 1;
insert into achievements (user_id, name, earned_at) select id, 'first lesson', now() - interval '1 year' from users where id > 480 order by id;
insert into lesson_progress (user_id, lesson_id, percent, updated_at) select id, 1, 50, now() - interval '1 day' from users where id > 480 order by id;
insert into leaderboard_entries (user_id, period, points, updated_at) select id, 'total', id, now() - interval '1 day' from users where id > 480 order by id;
-- Cache entries made of progress: half of them before it last changed.
insert into cache_entries (cache_key, value, source_table, source_id, source_updated_at)
select 'progress:' || id, '{}', 'lesson_progress', id, updated_at - case id % 2 when 0 then interval '1 hour' else interval '0' end
from lesson_progress;
