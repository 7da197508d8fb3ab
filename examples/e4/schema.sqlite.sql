-- Phase 1: an agent platform in one SQLite file. Ids, times and documents are texts.
create table agents (
    id text primary key,
    name text not null,
    agent_type text not null,
    status text default 'idle',
    capabilities text,
    system_prompt text,
    model_provider text default 'openrouter',
    model_name text default 'auto',
    created_at text,
    updated_at text
);

create table tasks (
    id text primary key,
    title text not null,
    description text,
    status text default 'pending',
    priority text default 'medium',
    assigned_agent_id text references agents (id),
    created_at text,
    updated_at text
);
