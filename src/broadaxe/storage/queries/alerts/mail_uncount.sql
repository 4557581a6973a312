-- A mail that was counted was not sent. Called by Alerts.uncount_mail; rides alert_mail_pkey. $1 tenant, $2 instant the
-- hour began in which it was counted.
update broadaxe.alert_mail set mails = mails - 1 where tenant_id = $1 and hour = $2 and mails > 0
