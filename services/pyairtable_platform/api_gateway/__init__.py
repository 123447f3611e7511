"""The one door: REST for every service, gRPC pass-through with reflection, server-sent events and the web chat.

It holds no rules of chat, tools or Airtable. What belongs here is what every caller meets first: who calls how often,
from which web page, with which headers, and where the call goes.
"""
