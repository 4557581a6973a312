-- Whoever watches open streams is told when a token, a log-in or a membership is taken away or changed, whatever process
-- does it (storage/revocations.py), so that nobody has to look again and again. Once per statement; the notifications of
-- one transaction, which are all the same, are one.
create function broadaxe.tell_revocation() returns trigger language plpgsql as $$
begin
    perform pg_notify('broadaxe_revocation', '');
    return null;
end
$$;

create trigger tell_revocation after delete or update of revoked_at, expires_at, role on broadaxe.api_token
for each statement execute function broadaxe.tell_revocation();

create trigger tell_revocation after delete on broadaxe.session
for each statement execute function broadaxe.tell_revocation();

create trigger tell_revocation after delete or update of role on broadaxe.membership
for each statement execute function broadaxe.tell_revocation();
