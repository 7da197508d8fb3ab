-- E3: applications with their folders and documents, on SQLite.

create table applications (
  id integer primary key,
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

create table folders (
  id integer primary key,
  application_id integer not null references applications (id),
  parent_id integer references folders (id),
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

create table documents (
  id integer primary key,
  folder_id integer not null references folders (id),
  name text not null,
  content_hash text not null check (length(content_hash) = 64),
  size_bytes integer not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

create index folders_application on folders (application_id);
create index folders_parent on folders (parent_id);
create index documents_folder on documents (folder_id);
