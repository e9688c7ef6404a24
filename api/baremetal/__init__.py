"""Ironic's bare-metal power API, as a front door of the gateway (D14).

It holds no state and has no logic of its own: a node is a System, what changes its
power is the same task, and what a node says of its power is read from the inventory
and from tasks.
"""
