-- Notes that a token was used from an address. Answers its name if that is news: it was used from others before, and not
-- from this one. Called by TokenAddresses; rides the primary keys. Of each token $3 addresses are kept, and none is
-- news after that. $1 token id, $2 address.
with before as (
    select count(*) as addresses from broadaxe.api_token_address where token_id = $1
),
noted as (
    insert into broadaxe.api_token_address (token_id, address)
    select token.id, $2 from broadaxe.api_token as token, before where token.id = $1 and before.addresses < $3
    on conflict do nothing
    returning token_id
)
select token.name
from noted
join broadaxe.api_token as token on token.id = noted.token_id
cross join before
where before.addresses > 0
