-- Phase 2: the same platform in PostgreSQL, as its developers want it.
create table agents (
    id uuid primary key default gen_random_uuid(),
    name varchar(255) not null,
    agent_type varchar(50) not null check (agent_type in ('chief_of_staff', 'master_operator')),
    status varchar(50) default 'idle' check (status in ('idle', 'active', 'busy', 'error', 'offline')),
    capabilities jsonb default '[]',
    system_prompt text,
    model_provider varchar(100) default 'openrouter',
    model_name varchar(100) default 'auto',
    performance_metrics jsonb default '{}',
    last_heartbeat timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table workflows (
    id uuid primary key default gen_random_uuid(),
    name varchar(255) not null,
    description text,
    definition jsonb not null,
    status varchar(50) default 'draft' check (status in ('draft', 'active', 'paused', 'completed', 'failed')),
    version int default 1,
    created_by uuid references agents (id),
    tags text[] default '{}',
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table tasks (
    id uuid primary key default gen_random_uuid(),
    title varchar(500) not null,
    description text,
    status varchar(50) default 'pending' check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
    priority varchar(20) default 'medium' check (priority in ('low', 'medium', 'high', 'urgent')),
    assigned_agent_id uuid references agents (id) on delete set null,
    workflow_id uuid references workflows (id) on delete cascade,
    step_order int default 0,
    context_data jsonb default '{}',
    result_data jsonb default '{}',
    started_at timestamptz,
    completed_at timestamptz,
    deadline timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table agent_messages (
    id uuid primary key default gen_random_uuid(),
    message_id uuid not null unique default gen_random_uuid(),
    correlation_id uuid,
    conversation_id uuid,
    sender_id uuid not null references agents (id) on delete cascade,
    recipient_id uuid not null references agents (id) on delete cascade,
    sender_type varchar(50) not null,
    recipient_type varchar(50) not null,
    message_type varchar(50) not null,
    priority varchar(20) default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
    status varchar(20) default 'pending'
        check (status in ('pending', 'sent', 'delivered', 'acknowledged', 'failed', 'expired')),
    subject varchar(500),
    payload jsonb default '{}',
    retry_count int default 0,
    max_retries int default 3,
    expires_at timestamptz,
    delivered_at timestamptz,
    acknowledged_at timestamptz,
    created_at timestamptz default now()
);

create table workflow_executions (
    id uuid primary key default gen_random_uuid(),
    workflow_id uuid not null references workflows (id) on delete cascade,
    status varchar(50) default 'running' check (status in ('running', 'completed', 'failed', 'cancelled')),
    current_step int default 0,
    context_data jsonb default '{}',
    result_data jsonb default '{}',
    started_by uuid references agents (id),
    started_at timestamptz default now(),
    completed_at timestamptz,
    error_message text
);

create table agent_capabilities (
    id uuid primary key default gen_random_uuid(),
    agent_id uuid not null references agents (id) on delete cascade,
    capability_name varchar(100) not null,
    confidence_score numeric(3, 2) default 0.5 check (confidence_score between 0 and 1),
    last_used timestamptz,
    usage_count int default 0,
    created_at timestamptz default now(),
    unique (agent_id, capability_name)
);

create table agent_performance (
    id uuid primary key default gen_random_uuid(),
    agent_id uuid not null references agents (id) on delete cascade,
    metric_name varchar(100) not null,
    metric_value numeric(10, 4) not null,
    metric_unit varchar(50),
    recorded_at timestamptz default now(),
    context jsonb default '{}'
);

create index idx_agents_type_status on agents (agent_type, status);
create index idx_agents_last_heartbeat on agents (last_heartbeat);
create index idx_tasks_status_priority on tasks (status, priority);
create index idx_tasks_assigned_agent on tasks (assigned_agent_id);
create index idx_tasks_workflow on tasks (workflow_id);
create index idx_messages_recipient_status on agent_messages (recipient_id, status);
create index idx_messages_sender_type on agent_messages (sender_id, message_type);
create index idx_messages_correlation on agent_messages (correlation_id);
create index idx_workflows_status on workflows (status);
create index idx_workflow_executions_workflow on workflow_executions (workflow_id);
create index idx_agent_capabilities_agent on agent_capabilities (agent_id);
create index idx_agent_performance_agent_metric on agent_performance (agent_id, metric_name);
create index idx_tasks_search on tasks using gin (to_tsvector('english', title || ' ' || coalesce(description, '')));
create index idx_workflows_search on workflows using gin (to_tsvector('english', name || ' ' || coalesce(description, '')));
