"""Sends events to Footfall: in bodies of many, again until they are stored, each counted once."""

from footfall_client.clients import AsyncClient, Client
from footfall_client.delivery import Delivery, Rejection

__all__ = ["AsyncClient", "Client", "Delivery", "Rejection"]
