-- Keeps who an account is to a provider. Called by openid.enter. $1 issuer, $2 subject, $3 account.
insert into broadaxe.openid_identity (issuer, subject, account_id) values ($1, $2, $3)
