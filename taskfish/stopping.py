"""How an application learns that its server is to stop, while an answer goes on."""

STOPPING = "taskfish.stopping"
"""The extension of ASGI's scope that has an `asyncio.Event`, set from then on."""
