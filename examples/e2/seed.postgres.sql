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
