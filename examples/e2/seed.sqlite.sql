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
