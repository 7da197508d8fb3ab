insert into agents values
    ('agent-1', 'Ada', 'chief_of_staff', 'active', '["plan", "review"]', 'You plan.', 'openrouter', 'auto', '2025-01-02T03:04:05', '2025-01-03 00:00:00'),
    ('agent-2', 'Bob', 'master_operator', null, null, null, 'openrouter', 'auto', '2025-01-02T03:04:05+02:00', null),
    ('6f1e1c1c-0000-4000-8000-000000000001', 'Cy', 'master_operator', 'idle', '', '', null, null, '2025-01-02 03:04:05Z', '2025-01-02T03:04:05Z');

insert into tasks values
    ('task-1', 'Write the report', 'All of it', 'pending', 'high', 'agent-1', '2025-02-01T10:00:00', null),
    ('task-2', 'Read the report', null, 'completed', 'medium', '6f1e1c1c-0000-4000-8000-000000000001', '2025-02-02T10:00:00', '2025-02-03T10:00:00'),
    ('task-3', 'Nobody''s', '', 'in_progress', null, null, null, null);
