-- Counts a mail of alerts that is about to be sent, and says the how manieth of the hour it is. Called by
-- Alerts.count_mail; rides alert_mail_pkey. $1 tenant, $2 instant the hour began.
insert into broadaxe.alert_mail as m (tenant_id, hour, mails)
values ($1, $2, 1)
on conflict (tenant_id) do update
set hour = excluded.hour,
    mails = case when m.hour = excluded.hour then m.mails + 1 else 1 end
returning mails
