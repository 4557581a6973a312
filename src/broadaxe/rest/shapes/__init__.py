"""The shapes of the HTTP API by subject: what clients decode, field by field, and how stored records come to it.

A router's shapes are in the module of its name. Owns the names, the optionality and the formats of every answer, and is
the only place that knows both records and shapes. Pure. What all shapes share is in `rest/wire.py`.
Source: REST specification, sections 1 to 3.
"""
