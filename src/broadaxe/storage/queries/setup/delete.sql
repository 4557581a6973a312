-- Ends all codes: there is an account. Called by setup.complete.
delete from broadaxe.setup_code
