-- Ten kinds of dirt, one row each: what the target refuses.
insert into agents values
    ('bad-type', 'D', 'intern', 'idle', '[]', null, 'p', 'm', null, null),
    ('bad-status', 'D', 'chief_of_staff', 'asleep', '[]', null, 'p', 'm', null, null),
    ('bad-json', 'D', 'chief_of_staff', 'idle', '{bad', null, 'p', 'm', null, null),
    ('bad-time', 'D', 'chief_of_staff', 'idle', '[]', null, 'p', 'm', '0000-00-00', null),
    ('zero', 'D', 'chief_of_staff', 'idle', '[]', cast(x'610062' as text), 'p', 'm', null, null),
    ('latin', cast(x'63e9' as text), 'chief_of_staff', 'idle', '[]', null, 'p', 'm', null, null),
    ('provider', 'D', 'chief_of_staff', 'idle', '[]', null, printf('%.*c', 101, 'p'), 'm', null, null);
insert into tasks values
    ('long', printf('%.*c', 501, 't'), null, 'pending', 'low', null, null, null),
    ('dangling', 'T', null, 'pending', 'low', 'agent-99', null, null),
    ('priority', 'T', null, 'pending', 'huge', null, null, null);
