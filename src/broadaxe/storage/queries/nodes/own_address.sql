-- The address of this process as the database sees it; null over a socket of the machine. Called by app.py.
select host(inet_client_addr())
