-- The tables of the shop that the examples are about.
create table orders (id bigint generated always as identity primary key, item text not null);
create table stock (item text primary key, pieces integer not null check (pieces >= 0));
