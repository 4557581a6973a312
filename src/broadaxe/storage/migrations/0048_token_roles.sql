-- What a token may do in its tenant, and who made it, for people to read; empty if nobody knows. Tokens that were made
-- before have the role that all tokens had.
alter table broadaxe.api_token
    add column role broadaxe.member_role not null default 'ADMIN',
    add column made_by text not null default '';
