"""Giving people the messages of alerts: which channels there are, how each is spoken to, and trying until it took it.

The tenant decides what is told to whom (`core/alerts.py`) and its commit writes it down; from there on it is this
room's. Refuses to decide whether there is something to tell.
"""
