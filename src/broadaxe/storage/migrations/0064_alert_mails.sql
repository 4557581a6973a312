-- How many mails of alerts a tenant was sent in the hour of the clock that its row is about, so that a rule that fires
-- without end fills no mailbox.
create table broadaxe.alert_mail (
    tenant_id uuid primary key references broadaxe.tenant on delete cascade,
    hour timestamptz not null,
    mails integer not null
);
