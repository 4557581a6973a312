-- Makes those who set up take turns, so that there is one first account. Called by setup.complete.
lock table broadaxe.setup_code in exclusive mode
